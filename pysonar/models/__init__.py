"""Trained models, in the clear: what a campaign ends with, and what a bounty may start from."""
