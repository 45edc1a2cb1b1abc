"""What the tests of updates need from earlier rounds: folded round by round, and the pages on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pysonar.keys.archive import Archive, Page, Values, values_of
from sonar.families.quadratic.inspection import Opened, Part
from sonar.paillier.slots import SlotPlan

_RHO_BITS = 64


@dataclass
class _Track:
    """One mine so far: the round of its first update, the first and the last, and sums over all since.

    `steps` int[d] is sum_s rho_s (w_s - w_0), `changes` sum_s rho_s (u_s - u_0), with a rho of 64 random bits
    for each round, which nobody else knows.
    """

    since: int
    first: tuple[tuple[int, ...], Values]
    last: tuple[tuple[int, ...], Values]
    steps: list[int]
    changes: list[int]
    updates: int = 1

    def parts(self) -> list[Part]:
        """First, combination, last. Of two updates the combination would say what the second says."""
        (w_0, u_0), (w_t, u_t) = ((w, u.tolist()) for w, u in (self.first, self.last))
        if self.updates == 1:
            return [(w_0, u_0)]
        if self.updates == 2:
            return [(w_0, u_0), (w_t, u_t)]
        return [(w_0, u_0), (_plus(w_0, self.steps), _plus(u_0, self.changes)), (w_t, u_t)]

    def add(self, rho: int, weights: tuple[int, ...], values: Values) -> None:
        """Take in one more update."""
        w_0, u_0 = self.first[0], self.first[1].tolist()
        self.steps = [sum_ + rho * (w - v) for sum_, w, v in zip(self.steps, weights, w_0, strict=True)]
        changes = zip(self.changes, values.tolist(), u_0, strict=True)
        self.changes = [sum_ + rho * (u - v) for sum_, u, v in changes]
        self.last = weights, values
        self.updates += 1


class Remembered:
    """The `Past` of one bounty, on the archive's pages: what it keeps in memory does not grow with rounds."""

    def __init__(
        self, archive: Archive, bounty: bytes, plan: SlotPlan, random_bits: Callable[[int], int]
    ) -> None:
        self._archive, self._bounty, self._plan, self._random_bits = archive, bounty, plan, random_bits
        self._tracks: dict[str, _Track] = {}
        self._parts: dict[str, list[Part]] = {}
        self._now = 1

    def before(self, round: int) -> Remembered:
        """Take in the pages up to `round`, and return itself as what was before that round."""
        if round < self._now:  # asked about an earlier round again
            self._tracks, self._now = {}, 1
        for page in self._archive.pages(self._bounty, self._now, round):
            self._fold(page)
        self._now, self._parts = round, {}
        return self

    def _fold(self, page: Page) -> None:
        for mine, values in page.rows().items():
            here = page.weights, values.copy()  # a view would keep the whole page
            track = self._tracks.get(mine)
            if track is None:
                zeros = [0] * len(values)
                self._tracks[mine] = _Track(page.round, here, here, zeros, zeros)
            else:
                track.add(self._random_bits(_RHO_BITS), *here)

    def begun(self) -> bool:
        """See `Past`."""
        return bool(self._tracks)

    def parts(self, mine: str) -> list[Part]:
        """See `Past`."""
        if mine in self._tracks and mine not in self._parts:
            self._parts[mine] = self._tracks[mine].parts()
        return self._parts.get(mine, [])

    def senders(self, update: Sequence[int]) -> Collection[str]:
        """See `Past`."""
        (row,) = values_of([update], self._plan)
        return self._archive.senders(self._bounty, self._now, row)

    def bases(self, mines: Collection[str]) -> Iterator[Opened]:
        """See `Past`."""
        first = sorted({self._tracks[mine].since for mine in mines if mine in self._tracks})
        for page in map(self._page, first):
            rows = page.rows()
            yield Opened(page.weights, {mine: tuple(rows[mine].tolist()) for mine in mines if mine in rows})

    def _page(self, round: int) -> Page:
        page = self._archive.page(self._bounty, round)
        assert page is not None  # it was read before
        return page


def _plus(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]
