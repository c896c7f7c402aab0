"""The claims, one mechanism per file."""
