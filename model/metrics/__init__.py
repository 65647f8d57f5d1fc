"""Metrics of a generated clip against the filmed one, and the verdict they add up to."""
