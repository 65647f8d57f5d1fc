"""Withdrawal: erases a person's video everywhere, with proof."""
