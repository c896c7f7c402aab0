"""Ordinary training loops, each of them one file, that `unchanged` can judge."""
