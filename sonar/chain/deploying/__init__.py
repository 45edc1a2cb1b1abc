"""Putting the contract on a chain, and ether into accounts."""
