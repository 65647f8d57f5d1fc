"""A checkpoint that generates faces, on any backend."""
