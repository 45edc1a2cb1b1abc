"""The port to private rows. `mine.data.registry` lists the kinds of sources."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from sonar.data.contents import Contents
from sonar.data.schema import Schema
from sonar.data.table import Matrix

Batches = Generator[Matrix, None, str]
"""float64[rows, columns] after each other; at the end, the fingerprint of all that was read."""


class DataSource(Protocol):
    """Rows of named columns. All methods raise DataError for what cannot be read, and none keeps anything.

    As long as nothing changes, the same rows come in the same order and in the same batches.
    """

    @property
    def name(self) -> str:
        """The default name of the data."""
        ...

    def contents(self, without: Sequence[str] = ()) -> tuple[Contents, str]:
        """Return what there is to train on, and the fingerprint of what was read for it.

        Every value is checked, except in the columns `without`. Raises DataError, naming row and
        column, for what no bounty could use.
        """
        ...

    def batches(self, columns: Sequence[str]) -> Batches:
        """Yield the numbers of these columns, in one pass, never all at once.

        Returns the fingerprint of what was read, so that nothing can change unnoticed between check and
        reading. Without columns, the batches only count the rows. Raises DataError for a missing column, for
        a value that is not a finite number, and if there are no rows.
        """
        ...

    def coded(self, schema: Schema) -> Batches:
        """Yield the columns of a schema as codes (`sonar.data.schema.Rows`), in one pass, never all at once.

        Returns the fingerprint of what was read. Raises DataError, as `batches`, and for a cell that the
        schema does not allow: a category that is not in the vocabulary, a missing cell.
        """
        ...

    def fingerprint(self) -> str:
        """Return in hex a digest of the whole content, of every column: other rows have another one."""
        ...
