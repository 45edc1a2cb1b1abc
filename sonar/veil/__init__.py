"""The veil: masks on answers that only t of m capsules can take off, and only from a sum."""
