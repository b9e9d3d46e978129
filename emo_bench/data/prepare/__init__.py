"""Test and training sets from arbitrary videos: what every preparation shares, and ``data prepare folder``."""
