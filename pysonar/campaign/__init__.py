"""A bounty on the way, from its posting to the withdrawal."""
