"""Statistics of pooled rows that nobody sees: one file for each, and a line in the registry."""
