"""Trains the network that makes mouth motion from sound, on clips of people and rendered heads."""
