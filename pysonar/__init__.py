"""PySonar: the scientist's side. It holds the key, posts bounties, and aggregates, evaluates and settles.

`pysonar.api` has what a notebook needs; its names can be taken from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysonar.api import Bounty, Campaign, Key, LinearModel, Session, Study, connect, explain
    from pysonar.frames.schema import category, columns_of, number

_COLUMNS = ("category", "columns_of", "number")
__all__ = [
    "Bounty",
    "Campaign",
    "Key",
    "LinearModel",
    "Session",
    "Study",
    "category",
    "columns_of",
    "connect",
    "explain",
    "number",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the command line starts without them.
    if name in _COLUMNS:
        from pysonar.frames import schema

        return getattr(schema, name)
    if name in __all__:
        from pysonar import api

        return getattr(api, name)
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    raise AttributeError(f"module 'pysonar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # what a notebook completes `pysonar.` with
