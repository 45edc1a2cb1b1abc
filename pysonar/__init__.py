"""PySonar: the scientist's side. It holds the key, posts bounties, and aggregates, evaluates and settles."""
