"""What each kind of bounty has of its own: one that trains a model, and a study."""
