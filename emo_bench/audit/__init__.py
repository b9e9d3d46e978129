"""Can a metric be believed on this data? Known damage of known strength, and whether each protocol orders it."""
