"""Statistics that are made of products of two columns: regression, correlation, principal components."""
