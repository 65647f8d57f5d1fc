"""What git, DVC, agreements and training records say, and the signatures and marks made from it."""
