"""Kinds of data sets that a suite can name, and how each is opened."""
