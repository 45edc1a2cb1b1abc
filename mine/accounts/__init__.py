"""A mine's accounts: what it does with each of them, and how one follows another."""
