"""What passes between a family, which has sums of rows, and a mine, which adds noise to them and counts it.

Privacy is zero-concentrated differential privacy (Bun and Steinke 2016) of one row, replaced by any other:
how many rows there are is public. Noise is a discrete Gaussian on integer sums (Canonne, Kamath and Steinke
2020): if a row changes sum j by at most d_j and its noise has variance v_j, a release costs sum_j d_j^2 /
(2 v_j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Price:
    """What one release costs the rows that it is made of: `rho` of zCDP.

    `parts`: into how many mines' noise it is divided. With 1 each mine's own noise suffices against
    everybody; with more, each adds 1 / parts of the variance, and `rho` holds for sums over as many mines,
    which only a veil enforces.
    """

    rho: Fraction
    parts: int = 1

    @property
    def shared(self) -> bool:
        """Whether it takes several mines' noise."""
        return self.parts > 1


@dataclass(frozen=True)
class RowSums:
    """Exact integer sums over rows whose contributions were clipped: `values`, and how many rows there are.

    `variances`: what the noise of each value must have in all, over all parts, so that the price holds.
    `clipped`: how many rows were larger than the declared bounds; for the owner's eyes only.
    """

    values: Sequence[int]
    variances: Sequence[Fraction]
    rows: int
    clipped: int
