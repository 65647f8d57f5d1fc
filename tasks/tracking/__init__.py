"""Runs and models in MLflow; the only importer of mlflow."""
