"""Private data: where rows come from, and what was registered about them."""
