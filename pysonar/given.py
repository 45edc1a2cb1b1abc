"""Type checks of arguments from user code: a notebook has no type checker."""

from __future__ import annotations

from types import UnionType

from sonar.errors import ConfigError


def require_type(given: object, kind: type | UnionType, field: str, hint: str) -> None:
    """Check that `given` is of `kind`; True and False are not numbers. Raises ConfigError naming `field`."""
    if isinstance(given, kind) and not (isinstance(given, bool) and kind is int):
        return
    names = [each.__name__ for each in kind.__args__] if isinstance(kind, UnionType) else [kind.__name__]
    expected = " or ".join(name for name in names if name != "NoneType")
    raise ConfigError(field, f"must be of type {expected} (got {given!r:.80})", hint=hint)
