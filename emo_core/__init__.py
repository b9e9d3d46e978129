"""Small foundations shared by every layer: errors, registries, hashing, atomic files, randomness."""
