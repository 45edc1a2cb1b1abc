"""From a table to (A, b), once per bounty: every check that protects its rows, in one pass over batches.

Neither the table nor phi is ever whole in memory. Batches are cut to one length first, so that the sums,
whose last bits depend on the order of additions, do not depend on how the data arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sonar.errors import BoundsError, DataError
from sonar.families.quadratic.answer import LocalMap, Moments, local_map, moments
from sonar.families.quadratic.losses.base import check_clipped, mapped
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.protect import check_rows, guards_of
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.affine import check_bounds
from sonar.paillier.slots import SlotPlan

Matrix = NDArray[np.float64]

_CHUNK_ROWS, _CHUNK_VALUES = 65_536, 1 << 23
_FAR = 2.0
"""So many deviations a column's mean may be from the bounty's, and be no reason to look at its unit."""


def prepare(spec: QuadraticSpec, plan: SlotPlan, batches: Iterable[Matrix]) -> LocalMap:
    """Return what a mine contributes to a bounty, from batches float64[rows, spec.columns], in one pass.

    Raises DataError for malformed data; ConsentError where sums would tell about single rows; BoundsError,
    which is one, for targets, sums or local steps beyond what the bounty declares.
    """
    seen = _Seen(spec)
    for batch in even(batches, chunk_rows(spec)):
        seen.take(batch)
    seen.check()
    assert seen.sums is not None
    result = local_map(spec, seen.sums, plan.data_frac)
    try:
        check_bounds(plan, result.a_int, result.b_int)
    except BoundsError as error:
        error.hint = f"{error.hint} {seen.unlike()}".rstrip()
        raise
    return result


class _Seen:
    """What has been seen of a table so far."""

    def __init__(self, spec: QuadraticSpec) -> None:
        self.spec, self.loss = spec, LOSSES[spec.loss]
        self.sums: Moments | None = None
        self.rows = 0
        self._clipped = np.zeros(spec.outputs, dtype=np.int64)
        self._totals = np.zeros(len(spec.features))
        self._guards = guards_of(spec)

    def take(self, batch: Matrix) -> None:
        """Add a batch to all sums and counts."""
        spec = self.spec
        if batch.ndim != 2 or batch.shape[1] != len(spec.columns):
            raise DataError("data", f"shape {batch.shape}; the bounty takes {len(spec.columns)} columns")
        x, y = batch[:, : len(spec.features)], batch[:, len(spec.features) :]
        phi = spec.transform(x)
        for target, column in zip(spec.targets, y.T, strict=True):
            self.loss.check(target.name, column)
        z = np.column_stack([mapped(*pair) for pair in zip(spec.targets, y.T, strict=True)])
        for i, target in enumerate(spec.targets):
            self._clipped[i] += np.count_nonzero(np.abs(z[:, i]) >= target.clip)
        found = moments(phi, z)
        self.sums = found if self.sums is None else self.sums + found
        self.rows += len(batch)
        self._totals += x.sum(axis=0)
        for guard, rows in zip(self._guards, (batch, phi, x, x, z), strict=True):
            guard.see(rows)

    def check(self) -> None:
        """Check all that is known at the end of the table. Raises ConsentError."""
        check_rows(self.rows, self.spec)
        for target, clipped in zip(self.spec.targets, self._clipped.tolist(), strict=True):
            check_clipped(target, clipped, self.rows)
        for guard in self._guards:
            guard.check()

    def unlike(self) -> str:
        """Name the columns that are least like those which the bounty's scientist took its constants from.

        Says what is public, and nothing of the data's own values.
        """
        spec = self.spec
        if not spec.stages or not isinstance(first := spec.stages[0], Standard):
            return ""
        means, deviations, _ = first.constants
        away = np.abs(self._totals / self.rows - means) / deviations
        farthest = sorted(range(len(away)), key=lambda i: -away[i])[:3]
        named = [f"{spec.features[i]!r} ({means[i]:.4g})" for i in farthest if away[i] > _FAR]
        return f"Farthest from their means in the bounty are {', '.join(named)}." if named else ""


def chunk_rows(spec: QuadraticSpec) -> int:
    """Return for how many rows no stage of the feature map puts out more than 64 MiB."""
    return min(_CHUNK_ROWS, _CHUNK_VALUES // (spec.widest + 1))


def even(batches: Iterable[Matrix], rows: int) -> Iterator[Matrix]:
    """Yield the same rows in batches of `rows` each; the last may be shorter."""
    waiting: list[Matrix] = []
    held = 0
    for batch in batches:
        start = 0
        while held + len(batch) - start >= rows:
            stop = start + rows - held
            yield np.concatenate([*waiting, batch[start:stop]])
            waiting, held, start = [], 0, stop
        if start < len(batch):
            waiting.append(batch[start:])
            held += len(batch) - start
    if waiting:
        yield np.concatenate(waiting)
