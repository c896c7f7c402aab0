"""Two ways to take the same steps: all replicas stacked, or one plain module after the other."""
