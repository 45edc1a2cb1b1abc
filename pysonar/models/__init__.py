"""Trained models in the clear: the result of a campaign, or the start of a bounty."""
