"""Pairs of leaves: what two columns of 0 and 1, and the bias, can single out.

The sum of the targets over a set of rows follows from b if the set is a combination of columns. Two leaves
divide the rows in four: in both, in the first alone, in the second alone, in neither. A combination of the
two and the bias is any a, a + b, a + c, a + b + c in these four.

- If one of the four is empty, the other three can have any values: each can be singled out.
- If none is, a combination that is 0 in two of them leaves two, not one: those in which the leaves differ, or
  those in which they agree (or a leaf or its rest, which the check of single columns sees to).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.maps.leaves import Marks

Counts = NDArray[np.int64]


def fourfold(both: Counts, first: Counts, second: Counts, rows: int) -> Counts:
    """Return how many of `rows` are in both leaves, in the first alone, the second, in neither: [4, ...].

    `both`, `first` and `second` int64[...]: how many are in both, in the first, in the second.
    """
    return np.stack(np.broadcast_arrays(both, first - both, second - both, rows - first - second + both))


def too_near(both: Counts, first: Counts, second: Counts, rows: int, least: int) -> NDArray[np.bool_]:
    """Tell which pairs of leaves single out some rows, but fewer than `least`; counts as in `fourfold`."""
    four = fourfold(both, first, second, rows)
    empty = (four == 0).any(axis=0)
    few = ((four > 0) & (four < least)).any(axis=0)
    differ, agree = four[1] + four[2], four[0] + four[3]
    return np.where(empty, few, (differ < least) | (agree < least))


class Pairs:
    """Checks that no two leaves, with the bias, single out 1 to `least` - 1 rows."""

    def __init__(self, names: Sequence[str], least: int) -> None:
        self._names, self._least, self._rows = names, least, 0
        self._both = np.zeros((len(names), len(names)), dtype=np.int64)

    def see(self, marks: Marks) -> None:
        """Take in a batch bool[rows, leaves]; of at most 2^24 rows."""
        numbers = marks.astype(np.float32)  # counts below 2^24 are exact, and the product is quick
        self._both += (numbers.T @ numbers).astype(np.int64)
        self._rows += len(marks)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield two leaves that single out a few rows, and what is wrong with them; one pair of each leaf."""
        each = np.diag(self._both)
        near = np.triu(too_near(self._both, each[:, None], each[None, :], self._rows, self._least), 1)
        for place in np.flatnonzero(near.any(axis=1)).tolist():
            first, second = self._names[place], self._names[int(np.argmax(near[place]))]
            problem = f"together they single out fewer than {self._least} rows"
            yield f"columns {first!r} and {second!r}", problem
