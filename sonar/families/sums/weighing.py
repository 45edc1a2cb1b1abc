"""What a question's parameters leave of a mine's rows in its sums, alone and against its other questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import Rows
from sonar.errors import ConsentError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.spread import few
from sonar.families.sums.terms.base import LEAST_IN_SET

Vector = NDArray[np.float64]
_SAME = 2.0**-30
"""Weights that differ by less, as a share of the largest, are the same."""
_LEAST = {"log-likelihood": 2.0}
"""A sum of one number a row, not of its columns: in honest fits few rows change it most, but not one."""
_NO_ANSWER = "the sums would be about those rows; no answer is given in this round"


class Weighing:
    """Tests what rows weigh at one question's `parameters`, and at those of `earlier` questions.

    Rows that weigh something are as many as 5 equal ones by Kish's number; those that are not cut at a limit
    are 0 or at least 5 (`BaseTerm.cut`). The same number is asked of the difference of two weightings of one
    kind, of which one is of this question, and of what a weighting has beyond its least value, or lacks of
    its largest. Three and more weightings together are not tested.
    """

    def __init__(self, spec: SumsSpec, parameters: Vector, earlier: Sequence[Vector] = ()) -> None:
        self._spec, self._parameters, self._earlier = spec, parameters, earlier
        self._alone: dict[str, Vector] = {}
        self._cut: dict[str, Vector] = {}
        self._kinds: dict[str, _Kind] = {}

    def see(self, rows: Rows) -> None:
        """Take in a batch."""
        columns = self._spec.by_name
        for term in self._spec.terms:
            if (found := term.weights_of(columns, rows, self._parameters)) is not None:
                self._alone[term.name] = found + self._alone.get(term.name, 0.0)
            if (cut := term.cut(columns, rows, self._parameters)) is not None:
                self._cut[term.name] = cut.sum(axis=1).astype(np.float64) + self._cut.get(term.name, 0.0)
        now, before = self._weightings(rows, self._parameters), dict[str, list[Vector]]()
        for parameters in self._earlier if now else ():
            for kind, found in self._weightings(rows, parameters).items():
                before.setdefault(kind, []).append(found[1:])
        for kind, found in now.items():
            self._kinds.setdefault(kind, _Kind()).see(found, before.get(kind, []))

    def check(self) -> None:
        """Raise ConsentError, which names the term, or what a kind of weights is."""
        for name, (one, two) in self._alone.items():
            if few(one, two).any():
                raise ConsentError(
                    f"term {name!r}: the question's parameters leave fewer than {LEAST_IN_SET} rows with a "
                    "weight in its sums",
                    hint=_NO_ANSWER,
                )
        for name, counts in self._cut.items():
            if ((counts > 0) & (counts < LEAST_IN_SET)).any():
                raise ConsentError(
                    f"term {name!r}: at the question's parameters, 1 to {LEAST_IN_SET - 1} rows are beyond a "
                    f"limit, or within it; 0 or at least {LEAST_IN_SET} may be",
                    hint=_NO_ANSWER,
                )
        for kind, found in self._kinds.items():
            if found.singles_out(_LEAST.get(kind.split(" (")[0], float(LEAST_IN_SET))):
                raise ConsentError(
                    f"terms.parameters: two weightings of rows by {kind}, of this question or of an "
                    f"earlier one, differ in fewer than {LEAST_IN_SET} rows",
                    hint=_NO_ANSWER,
                )

    def _weightings(self, rows: Rows, parameters: Vector) -> dict[str, Vector]:
        """Return, by kind, what rows weigh in all terms together: see `BaseTerm.weightings`.

        float64[1 + weightings, rows], of which the first is the rows' weights by themselves.
        """
        found: dict[str, list[Vector]] = {}
        for term in self._spec.terms:
            for kind, weights in term.weightings(self._spec.by_name, rows, parameters).items():
                found.setdefault(kind, []).append(weights)
        return {
            kind: np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
            for kind, parts in found.items()
        }


@dataclass
class _Kind:
    """Sums of differences of weightings of one kind, and of their squares, and the largest."""

    pairs: Vector | None = None
    most: float = 0.0
    _base: tuple[float, float] = 0.0, 0.0
    _lacking: Vector | None = None

    def see(self, found: Vector, earlier: list[Vector]) -> None:
        """Take in a batch: weightings of this question as `Weighing` has them, and of earlier ones."""
        base, now = found[0], found[1:]
        others = np.concatenate([now, *earlier])
        self.most = max(self.most, float(np.abs(others).max(initial=0.0)))
        parts = []
        for place, weights in enumerate(now):
            away = np.abs(others[place + 1 :] - weights)
            parts.append(
                np.stack([away.sum(axis=1), (away * away).sum(axis=1), away.max(axis=1, initial=0.0)])
            )
        self._add(np.concatenate(parts, axis=1))
        self._lack(base, now)

    def _add(self, pairs: Vector) -> None:
        if self.pairs is None:
            self.pairs = pairs
            return
        self.pairs[:2] += pairs[:2]
        self.pairs[2] = np.maximum(self.pairs[2], pairs[2])

    def _lack(self, base: Vector, now: Vector) -> None:
        """Add up what sums of (largest share - share) and of their squares are made of, and of the least."""
        there = base > 0
        shares = now[:, there] / base[there]
        sums = [now.sum(axis=1), (now * now).sum(axis=1), now @ base]
        ends = [shares.max(axis=1, initial=-np.inf), shares.min(axis=1, initial=np.inf)]
        found = np.stack([*sums, *ends])
        self._base = self._base[0] + float(base.sum()), self._base[1] + float(base @ base)
        if self._lacking is not None:
            found[:3] += self._lacking[:3]
            found[3] = np.maximum(found[3], self._lacking[3])
            found[4] = np.minimum(found[4], self._lacking[4])
        self._lacking = found

    def singles_out(self, least: float) -> bool:
        """Tell whether a difference, or what is lacking, is of fewer than `least` rows."""
        if self.pairs is not None:
            one, two, top = self.pairs
            if (few(one, two, least) & (top > _SAME * self.most)).any():
                return True
        if self._lacking is None or not self._base[0]:
            return False
        one, two, mixed, *ends = self._lacking
        for end in ends:
            away = np.abs(end * self._base[0] - one)
            squares = end**2 * self._base[1] - 2 * end * mixed + two
            # The three cancel to about the 13th digit, below which nothing is known.
            known = squares > 1e-12 * (end**2 * self._base[1] + two)
            if (few(away, squares, least) & known).any():
                return True
        return False
