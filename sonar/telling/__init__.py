"""Output for people: progress, amounts, tables."""
