"""Commands of `pysonar` that have a file of their own."""
