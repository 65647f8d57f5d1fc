"""Trained networks in use: a checkpoint that generates faces, on any backend, the motion network, the inside."""
