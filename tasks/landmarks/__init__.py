"""Stage 2: trains the landmark predictor."""
