"""A mine: a node that trains encrypted models on its own private data, and is paid for it.

Nothing in this package can decrypt, and it imports nothing that can.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
