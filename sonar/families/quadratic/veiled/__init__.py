"""Tests, twins and scores of answers under a veil: by a few bits of functionals, never by whole values."""
