"""Mathematics of one-dimensional signals: cepstra, lags, smoothing."""
