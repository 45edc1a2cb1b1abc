"""How well a model does on rows that its scientist never sees."""
