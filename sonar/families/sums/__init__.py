"""Declared sums over rows: each mine adds up the same terms, and only the sum over all mines is opened."""
