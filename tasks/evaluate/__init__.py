"""Stage 6: metrics and report."""
