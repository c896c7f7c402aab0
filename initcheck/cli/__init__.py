"""The `initcheck` command."""
