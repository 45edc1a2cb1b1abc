"""Sonar: train models on data that nobody hands over.

This package holds what every party shares. It never trains on private data and never decrypts.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Looked up when first asked for: nobody but people needs it.
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
