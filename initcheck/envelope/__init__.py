"""The rounding envelope: how far rounding alone moves a training run."""
