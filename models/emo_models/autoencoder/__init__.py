"""A small image autoencoder for training talking portraits without large weights."""
