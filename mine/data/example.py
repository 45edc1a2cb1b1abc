"""Rows that come with Sonar: a shard of a bundled example."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from mine.data.base import Batches
from sonar.data import examples
from sonar.data.coding import Coder
from sonar.data.contents import UNREAD, Contents
from sonar.data.names import index_of
from sonar.data.schema import Schema
from sonar.data.table import Table
from sonar.errors import DataError

_SOURCE = re.compile(r"([a-z0-9-]{1,40}):(\d{1,4})/(\d{1,4})")


class Example:
    """One shard, by `source` = "NAME:SHARD/SHARDS". Its fingerprint is of its names and numbers."""

    def __init__(self, source: str) -> None:
        match = _SOURCE.fullmatch(source)
        if not match:
            raise DataError("example", f"{source[:80]!r} is not NAME:SHARD/SHARDS", hint="as diabetes:3/10")
        self._example, self._shard, self._shards = match[1], int(match[2]), int(match[3])

    @classmethod
    def source_of(cls, example: str, shard: str) -> str:
        """Return the source of a shard, which is written "3/10". Raises DataError."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", shard)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise DataError(
                "shard", f"{shard[:40]!r} is not I/N with 1 <= I <= N", hint="for example --shard 3/10"
            )
        examples.load(example)  # an example that is not there is told by its name
        return f"{example}:{shard}"

    @property
    def name(self) -> str:
        """The example, and which part of it."""
        return f"{self._example}-{self._shard}-of-{self._shards}"

    def contents(self, without: Sequence[str] = ()) -> tuple[Contents, str]:
        """Return the example's columns, all of which hold numbers, and the shard's digest."""
        unread = {self._table.columns[index_of(name, self._table.columns)] for name in without}
        columns = tuple(name for name in self._table.columns if name not in unread)
        return Contents(columns, self._table.rows, dict.fromkeys(unread, UNREAD)), self.fingerprint()

    def batches(self, columns: Sequence[str]) -> Batches:
        """Yield the whole shard: the examples are small."""
        yield self._table.matrix(columns)
        return self.fingerprint()

    def coded(self, schema: Schema) -> Batches:
        """Yield the whole shard, coded: an example's categories are numbers."""
        yield np.column_stack([Coder(column).codes(self._table.column(column.name)) for column in schema])
        return self.fingerprint()

    def fingerprint(self) -> str:
        """Return the digest of the shard's columns and numbers."""
        digest = hashlib.sha256("\n".join(self._table.columns).encode())
        digest.update(self._table.values.astype("<f8").tobytes())
        return digest.hexdigest()

    @cached_property
    def _table(self) -> Table:
        return examples.shard(examples.load(self._example), self._shard - 1, self._shards)
