"""Test and training sets from videos as they come: what every preparation shares, and ``data prepare folder``."""
