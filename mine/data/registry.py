"""All kinds of sources: a new one adds its line here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mine.data.base import DataSource


# Code that reads rows is imported only where rows are read: most commands only name the data.
def _csv(source: str) -> DataSource:
    from mine.data.csv import CsvFile

    return CsvFile(source)


def _example(source: str) -> DataSource:
    from mine.data.example import Example

    return Example(source)


SOURCES: Mapping[str, Callable[[str], DataSource]] = {"csv": _csv, "example": _example}
