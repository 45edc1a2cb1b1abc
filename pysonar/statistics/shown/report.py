"""What all results share: a title, facts, tables and warnings, in every form that they are shown in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from pysonar.statistics.shown.table import Cell, Library, Table, frame_of, html_of, text_of
from sonar.errors import ArgumentError


class Report(ABC):
    """A result. `warnings` say what a reader of it should know."""

    warnings: tuple[str, ...] = ()

    @property
    @abstractmethod
    def title(self) -> str:
        """What this is."""

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """Single numbers, by name, that stand above the tables."""
        return ()

    @property
    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """The tables; `to_frame` returns the first."""

    @property
    def notes(self) -> Sequence[str]:
        """What stands below the tables: warnings, numbered if there are several."""
        if len(self.warnings) < 2:
            return [f"Warning: {text}" for text in self.warnings]
        return ["Warnings:", *(f"[{place}] {text}" for place, text in enumerate(self.warnings, start=1))]

    def summary(self) -> str:
        """Return it as a text of lines, for a terminal."""
        return text_of(self.title, self.facts, self.tables, self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return all of its numbers as JSON-ready values."""
        return {name: plain(value) for name, value in self._named().items()}

    def to_frame(self, library: Library = "pandas") -> Any:
        """Return its main table as a data frame. Raises UsageError, ClientMissing: see `frame_of`."""
        return frame_of(self.tables[0], library)

    def _repr_html_(self) -> str:
        return html_of(self.title, self.facts, self.tables, self.notes)

    def __str__(self) -> str:
        return self.summary()

    def _named(self) -> dict[str, Any]:
        if not is_dataclass(self):
            return {}
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_") and f.repr}


def none_such(what: str, name: object, known: Iterable[str]) -> ArgumentError:
    """Return the error for a name that a result does not have, with those that it has."""
    hint = f"there are {', '.join(known)}"[:400]
    return ArgumentError(f"there is no {what} {name!r:.80}", hint=hint)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: arrays as lists, NaN and infinity as None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.repr}
    return value
