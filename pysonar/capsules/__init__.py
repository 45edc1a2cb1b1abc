"""The scientist's side of capsules: asking them, and checking what they tell."""
