"""Batches of a memory-mapped split."""
