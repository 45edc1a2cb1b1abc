"""Transactions, from the wish to the receipt."""
