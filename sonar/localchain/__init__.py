"""A development chain on this machine: Anvil where it is to be had, else eth-tester behind JSON-RPC."""
