"""A mine: a node that trains encrypted models on its own private data, and is paid for it.

Nothing in this package can decrypt, and it imports nothing that can.
"""
