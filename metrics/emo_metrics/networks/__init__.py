"""The networks behind the metrics: our own modules that take the official weight files."""
