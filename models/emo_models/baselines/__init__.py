"""Baseline talking-portrait models that this project implements itself."""
