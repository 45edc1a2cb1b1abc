"""A capsule: holds seeds of masks, opens sums by policy, and audits settlements. It never holds data.

Nothing in this package can decrypt, and it imports nothing that can.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
