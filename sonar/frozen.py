"""Frozen dataclasses that are quick to make: a short command makes a hundred of them when it starts.

`dataclass` compiles six functions for each class, whose length grows with its fields. Three of them can be
the same for all: here they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """As `dataclass(frozen=True)`, with shared methods for `==`, `hash` and `repr`: none are compiled."""
    for name, method in (("__eq__", _equals), ("__hash__", _hashed), ("__repr__", _shown)):
        if name not in vars(kind):
            setattr(kind, name, method)
    return dataclass(frozen=True, eq=False, repr=False)(kind)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.compare)


def _compared(one: Any) -> list[Any]:
    kind: Any = type(one)
    return [getattr(one, name) for name in _names(kind)]


def _equals(one: Any, other: object) -> Any:
    return _compared(one) == _compared(other) if type(other) is type(one) else NotImplemented


def _hashed(one: Any) -> int:
    return hash(tuple(_compared(one)))


def _shown(one: Any) -> str:
    values = ", ".join(f"{each.name}={getattr(one, each.name)!r}" for each in fields(one) if each.repr)
    return f"{type(one).__qualname__}({values})"
