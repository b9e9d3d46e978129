"""Metrics as torch modules that can stand in a training loop."""
