"""Terms of models that are found in several rounds, of survival, and of evaluation."""
