"""The demo: every party as a process of its own, started by name as a user would."""
