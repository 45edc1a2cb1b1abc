"""Tables: CSV, and the bundled examples."""
