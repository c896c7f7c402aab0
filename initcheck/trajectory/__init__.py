"""Is any training loop unchanged: the rounding envelope around a user's loop."""
