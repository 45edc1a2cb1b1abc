"""Models with scikit-learn's habits: fitted on mines that are parts of a table here, or on a network's."""
