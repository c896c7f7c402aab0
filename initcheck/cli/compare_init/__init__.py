"""``initcheck compare-init``: a custom initializer next to the usual ones."""
