"""The chain: typed calls and events of `TrainingMarket` over any JSON-RPC node."""
