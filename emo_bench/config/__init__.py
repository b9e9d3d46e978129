"""What a user may ask for: frozen, strict models, YAML 1.2 loading with exact error places, digests."""
