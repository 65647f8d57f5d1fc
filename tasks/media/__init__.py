"""Video and sound files, in and out."""
