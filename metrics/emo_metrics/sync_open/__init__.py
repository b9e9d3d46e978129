"""The sync network for real faces, with its weights: what it sees, what it hears, and how both are embedded."""
