"""What is told to people: progress, amounts, tables."""
