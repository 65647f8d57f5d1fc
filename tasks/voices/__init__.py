"""Voices that speak a text: which language it is in, who speaks that, and the sound."""
