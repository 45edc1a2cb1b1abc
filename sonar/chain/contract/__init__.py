"""The market contract as Python knows it: calls, events, errors."""
