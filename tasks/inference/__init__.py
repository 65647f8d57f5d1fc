"""Trained networks in use: a checkpoint that generates faces, on any backend, and the motion network."""
