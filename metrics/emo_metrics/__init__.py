"""Metrics for talking-portrait video as named, versioned protocols."""
