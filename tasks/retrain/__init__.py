"""Drift, retraining, gate and promotion."""
