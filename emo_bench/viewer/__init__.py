"""A page on this machine only: runs, their progress, and their clips at full size, straight from the store."""
