"""What is not in the paper: parts for networks that start without a prior, and guidance. Each is off by default."""
