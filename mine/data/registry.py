"""The kinds of sources that there are: the one place to which a new one adds its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mine.data.base import DataSource
from mine.data.csv import CsvFile
from mine.data.example import Example

SOURCES: Mapping[str, Callable[[str], DataSource]] = {"csv": CsvFile, "example": Example}
