"""From stored features to numbers: per-clip rows, values with intervals, comparisons, checks; pure and order-free."""
