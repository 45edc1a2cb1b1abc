"""What may be learned of a data set, in all: its budget, what was spent of it, and the releases."""
