"""What is computed: one folder for each family of models."""
