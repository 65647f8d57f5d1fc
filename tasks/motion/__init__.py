"""Trains the network that predicts mouth motion from audio, on clips of people and rendered heads."""
