"""From the aggregated gradients seen so far to the next weights."""
