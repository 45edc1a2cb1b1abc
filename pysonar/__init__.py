"""PySonar: the scientist's side. It holds the key, posts bounties, and aggregates, evaluates and settles.

`pysonar.api` has what a notebook needs; its names can be taken from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysonar.api import Bounty, Campaign, Key, LinearModel, Session, connect, explain
    from pysonar.frames.schema import category, columns_of, number

_API = ("Bounty", "Campaign", "Key", "LinearModel", "Session", "connect", "explain")
_FOUND_IN = {
    **dict.fromkeys(_API, "pysonar.api"),
    **dict.fromkeys(("category", "columns_of", "number"), "pysonar.frames.schema"),
}
__all__ = [
    "Bounty",
    "Campaign",
    "Key",
    "LinearModel",
    "Session",
    "category",
    "columns_of",
    "connect",
    "explain",
    "number",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the command line starts without them.
    if name in _FOUND_IN:
        return getattr(import_module(_FOUND_IN[name]), name)
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    raise AttributeError(f"module 'pysonar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # what a notebook completes `pysonar.` with
