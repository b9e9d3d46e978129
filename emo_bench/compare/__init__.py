"""Runs held against each other: what changed, and several runs joined into one table."""
