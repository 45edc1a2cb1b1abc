"""Times until an event: Kaplan-Meier curves, the log-rank test, and Cox's proportional hazards."""
