"""A running bounty, from its posting to the withdrawal."""
