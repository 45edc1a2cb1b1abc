"""The noise that a bounty's mines add to their sums once, before anything is made of them.

A row is v = (phi without its bias, target_unit z) in integers, shortened to a length of at most `row_max`,
and a last entry `constant`, the bias. What is released is the symmetric matrix of sums of v v^T, but for
the targets' products with each other and the constant's square: the noise of an entry has variance
deviation^2 on the diagonal, half of that beside it. In the Frobenius norm, which counts an entry beside the
diagonal twice, two rows' v v^T differ by at most sqrt(2) (row_max^2 + constant^2): |v|^4 + |w|^4 - 2
(v.w)^2. So a release costs rho = ((row_max^2 + constant^2) / deviation)^2 (the "Analyze Gauss" of Dwork,
Talwar, Thakurta and Zhang 2014, with discrete noise).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sonar.privacy.terms import Price
from sonar.protocol.record import MAX_COHORT, Record

LEAST_DEVIATION = 1 << 10
"""Far more than it takes that sums of several discrete Gaussians are as good as one: they then differ by
less than 2^-1000 (Kairouz, Liu and Steinke 2021, arXiv 2102.06387, Proposition 14).
"""

LONGEST = 1 << 24
"""A product of two entries is then below 2^48, so that float64 adds up thousands of them exactly."""
COARSEST = 8
"""Below 2^(frac - COARSEST) lengths and units are so small that rounding would be most of a row."""


class QuadraticNoise(Record):
    """Numbers are integers at 2^frac, `deviation` is at 2^(2 frac); see this module's text.

    `parts`: how many mines' noise makes one (`sonar.privacy.terms.Price`). `ridge_q32`: what is added to
    each column's own sum of squares but the bias's, at 2^32, whatever the data are: a ridge regression.
    """

    kind: Literal["gaussian"] = "gaussian"
    frac: Annotated[int, Field(ge=8, le=20)]
    row_max: Annotated[int, Field(ge=1, lt=1 << 32)]
    constant: Annotated[int, Field(ge=1, lt=1 << 32)]
    target_unit: Annotated[int, Field(ge=1, lt=1 << 32)]
    deviation: Annotated[int, Field(ge=LEAST_DEVIATION, lt=1 << 63)]
    parts: Annotated[int, Field(ge=1, le=MAX_COHORT)] = 1
    ridge_q32: Annotated[int, Field(ge=0, lt=1 << 63)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        least = 1 << (self.frac - COARSEST)
        for field in ("row_max", "constant", "target_unit"):
            if not least <= (found := getattr(self, field)) <= LONGEST:
                problem = f"is {found:,}; from {least:,} to {LONGEST:,} with {self.frac} fractional bits"
                raise ValueError(f"noise.{field}: {problem}")
        return self

    @property
    def price(self) -> Price:
        """What a release costs."""
        return Price(Fraction(self.row_max**2 + self.constant**2, self.deviation) ** 2, self.parts)
