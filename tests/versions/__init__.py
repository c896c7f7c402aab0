"""The gate, and the examples of `inspect` and `unchanged`, with many torch releases."""
