"""What can be summed: one file for each kind of term."""
