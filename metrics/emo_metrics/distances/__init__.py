"""Distances between two sets of samples: Fréchet, kernel, and Fréchet extrapolated to infinitely many clips."""
