"""Content-addressed stores: one port, several adapters, one conformance suite."""
