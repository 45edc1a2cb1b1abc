"""Sonar: train models on data that nobody hands over.

This package holds what every party shares. It never trains on private data and never decrypts.
"""

__version__ = "0.1.0"
