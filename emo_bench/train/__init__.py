"""Training of what ships with the project."""
