"""Training: the same steps by two engines, all replicas stacked or one plain module at a time."""
