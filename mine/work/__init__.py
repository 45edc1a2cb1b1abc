"""A round of a mine, from the training to the reveal."""
