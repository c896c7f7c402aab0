"""One run of everything on an accelerator, in eight minutes."""
