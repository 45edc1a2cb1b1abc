"""Rows that come in batches of any lengths, in batches of one length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def even(batches: Iterable[Matrix], rows: int) -> Iterator[Matrix]:
    """Yield the same rows in batches of `rows` each; the last may be shorter."""
    waiting: list[Matrix] = []
    held = 0
    for batch in batches:
        start = 0
        while held + len(batch) - start >= rows:
            stop = start + rows - held
            yield np.concatenate([*waiting, batch[start:stop]]) if waiting else batch[start:stop]
            waiting, held, start = [], 0, stop
        if start < len(batch):
            waiting.append(batch[start:])
            held += len(batch) - start
    if waiting:
        yield np.concatenate(waiting)
