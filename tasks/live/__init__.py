"""A stream dubbed frame by frame."""
