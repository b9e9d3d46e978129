"""From clips to features: the weights registry, the feature store, and one decode that feeds all extractors."""
