"""A capsule: holds seeds of masks, opens sums by policy, and audits settlements. It never holds data."""
