"""IPFS, by a Kubo node."""
