"""How many rows end at each time of a grid, with an event or without, by group."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import BaseTerm, Columns, Vector, a_category
from sonar.families.sums.terms.cells import counts_fault
from sonar.families.sums.terms.steps.timed import Grid, check_timed, groups_of, timed
from sonar.protocol.record import Name


class AtRisk(BaseTerm):
    """Counts of rows by group, of a grid of K times: shape [groups, 2 (K + 1) + 2].

    A group's are: events at each time, and 0; rows without a seen event that are at risk at none of the
    times, at the first alone, ..., at all of them; events between two grid times (counted at the later one),
    and events after the last (not seen: their rows end there).
    """

    kind: Literal["at-risk"] = "at-risk"
    time: Name
    event: Name
    grid_q32: Grid
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        check_timed(columns, self.time, self.event, self.grid_q32)
        if self.by is not None:
            a_category(columns, self.by, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        return (groups_of(columns, self.by), 2 * (len(self.grid_q32) + 1) + 2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows = rows.complete_rows(self.needs(columns))
        group = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        return np.stack(
            [self._counts(columns, rows.where(group == g)) for g in range(groups_of(columns, self.by))]
        )

    def mixed(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: without groups they are counts of times alone."""
        return () if self.by is None else self.needs(columns)

    def grouped(self, columns: Columns) -> tuple[str, str] | None:
        """See `BaseTerm`."""
        return None if self.by is None else (self.time, self.by)

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: they are counts."""
        return 0

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`."""
        counted = 2 * (len(self.grid_q32) + 1)
        return counts_fault(sums[:, :counted], rows, room[:, :counted])

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        times = f"{len(self.grid_q32)} times of {self.time}"
        return f"how many rows have {self.event} at each of {times}, or end without{by}"

    def _counts(self, columns: Columns, rows: Rows) -> Vector:
        found, times = timed(columns, rows, self.time, self.event, self.grid_q32), len(self.grid_q32)
        events = np.bincount(found.until[found.event] - 1, minlength=times + 1)
        ended = np.bincount(found.until[~found.event], minlength=times + 1)
        return np.concatenate([events, ended, [found.off_grid, found.late]]).astype(np.float64)
