"""What happens to files. One module a stage: a plain `run(...)`; flows/ wraps it, dvc.yaml calls it."""
