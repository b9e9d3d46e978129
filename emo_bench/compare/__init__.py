"""Comparison of runs: what changed, and several runs joined into one table."""
