"""Configuration: frozen, strict models, YAML 1.2 loading with exact error locations, digests."""
