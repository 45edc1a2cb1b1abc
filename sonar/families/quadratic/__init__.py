"""Models that are linear in their weights: an answer is b - A w."""
