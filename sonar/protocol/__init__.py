"""The protocol: pure functions and types. No I/O, no clock, no randomness."""
