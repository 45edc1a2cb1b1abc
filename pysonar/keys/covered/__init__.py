"""The keys of bounties that capsules cover: what is common to all of them, and answers in words."""
