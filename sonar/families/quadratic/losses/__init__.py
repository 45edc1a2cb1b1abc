"""Losses: what b and A are made of, and the metrics that tell people how good a model is."""
