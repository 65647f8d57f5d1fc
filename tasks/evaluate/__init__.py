"""Stage 5: the metrics of a generator, its report, and comparisons of checkpoints."""
