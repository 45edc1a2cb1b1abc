"""Generalised linear models: a step of Newton's method a round, at coefficients that the mines see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import chosen
from pysonar.statistics.fits.asking import check_names, spec_of
from pysonar.statistics.fits.collinear import check_columns, filled
from pysonar.statistics.fits.newton import length_of, stands
from pysonar.statistics.fits.sound import false_sums, refuses_false_sums
from pysonar.statistics.glm.opened import Common, Opened, opened_of, step_of
from pysonar.statistics.glm.result import GlmResult, result_of
from pysonar.statistics.glm.starting import start_of
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.data.schema import Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.likelihoods import GlmFamily
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of, width_of
from sonar.families.sums.terms.steps.glm_step import GlmStep, sizes_of
from sonar.paillier.slots import MAX_VALUES

Vector = NDArray[np.float64]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Positive = Annotated[float, Field(gt=0)]
STEP = "step"
_BESIDE = (0.5, 2.0)
_LONGEST = 1e5  # steps are of some hundreds at most, of coefficients of a design row within ±1
_LEAST_MEAN = 1e-9  # of counts: a smaller mean is taken for it


_LEAST_PART = 1e-6  # of the largest target, for a gamma mean


class Glm(Statistic):
    """Regression of `target` on `columns`, or all others: logistic (binomial), Poisson or gamma (log link).

    A binomial target has bounds 0 to 1, or is a column of two categories, whose second level counts as 1 (of
    `columns_of`: the second by the alphabet); the summary names it. `exposure`: a column of what counts
    or amounts are in proportion to, as of statsmodels' GLM. `weights`: how many rows a row stands for, its
    `freq_weights`. `mu_min`, `mu_max`: what the mean of a Poisson or gamma target is held within; by default
    1e-9 (Poisson) or half of the least target and at least a millionth of the largest (gamma), and twice the
    largest.

    The first round needs no coefficients; each other one is a step of Newton's method, looked at in three
    points at once, so that it is as long as it should be. Within 6 rounds, coefficients and errors are those
    of pooled statsmodels to 1e-5. `rounds_max`: at most 8 on a network, whose mines answer no more often.
    """

    kind: Literal["glm"] = "glm"
    family: GlmFamily
    target: str
    columns: Names | None = None
    exposure: str | None = None
    weights: str | None = None
    mu_min: Positive | None = None
    mu_max: Positive | None = None
    rounds_max: Annotated[int, Field(ge=2, le=30)] = 6
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @property
    def rounds(self) -> int:
        """See `Statistic`."""
        return self.rounds_max

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        named = {"target": self.target, "exposure": self.exposure, "weights": self.weights}
        names = chosen(columns, self.columns, "columns", named)
        check_names(columns, columns=names, **named)
        by_name = {column.name: column for column in columns}
        low, high = self._mean_limits(by_name[self.target])
        step = GlmStep(
            name=STEP,
            family=self.family,
            target=self.target,
            columns=names,
            mu_low_q32=max(to_q32(low, "statistic.mu_min"), 1),
            mu_high_q32=to_q32(high, "statistic.mu_max"),
            beside_q32=self._beside(width_of(by_name, names), len(names)),
            exposure=self.exposure,
            weights=self.weights,
        )
        used = [name for name in (self.target, *names, self.exposure, self.weights) if name]
        parameters = 1 + 2 * width_of(by_name, names)
        return spec_of(columns, used, [step], parameters, rows_min, rows_max)

    @refuses_false_sums
    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        """See `Statistic`. Raises DataError for collinear or constant columns, after the first round."""
        first, *others = rounds = self._opened(spec, seen)
        if not others:
            self._check(spec, first)
            base, way = start_of(self.family, first.common, first.end)
            if not length_of(way) < _LONGEST:
                raise false_sums("a start without end")
            return np.concatenate([[1.0], base, way])
        if self.family == "binomial" and any(one.separated for one in others):
            return None
        last = rounds[-1].highest
        length = length_of(last.step)
        if not length < _LONGEST:
            raise false_sums("a step without end")
        if stands(last, rounds[-1].away):
            return None
        return np.concatenate([[1.0], last.coefficients, last.step])

    @refuses_false_sums
    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> GlmResult:
        """See `Statistic`. Warns of separation, of what did not converge, and of what was clipped."""
        first, *others = self._opened(spec, seen)
        if not others:
            self._check(spec, first)
            raise DataError(
                "statistic.rounds_max", "one round gives no estimate", hint="2 are needed at least"
            )
        return result_of(spec, seen, first, others, self.alpha)

    def _check(self, spec: SumsSpec, first: Opened) -> None:
        names, common = step_of(spec).columns, first.common
        labels = labels_of(spec.by_name, names)
        if common.rows <= len(labels):
            problem = f"{common.rows} complete rows; {len(labels)} coefficients need more rows than that"
            raise DataError("rows", problem, hint="take fewer columns, or more mines")
        if common.weight <= 0:
            hint = "give rows weights above 0"
            raise DataError(f"column {self.weights!r}", "the weights of all rows add up to 0", hint=hint)
        self._check_target(common)
        information = first.end.information
        kept, _ = filled(spec.columns, names, information)
        check_columns(information[np.ix_(kept, kept)], [labels[place] for place in kept])

    def _check_target(self, first: Common) -> None:
        mean = first.y / first.weight
        always = 1 if self.family == "binomial" and mean > 1 - 1e-9 else 0 if mean < 1e-9 else None
        if always is not None:
            hint = (
                "a regression needs rows of both kinds"
                if self.family == "binomial"
                else "there is nothing to tell"
            )
            raise DataError(f"column {self.target!r}", f"is {always} in every row", hint=hint)

    def _opened(self, spec: SumsSpec, seen: Sequence[Seen]) -> list[Opened]:
        found, known = list[Opened](), None
        for one in seen:
            found.append(opened_of(spec, one, known))
            known = found[-1].highest if len(found) > 1 else None
        return found

    def _beside(self, width: int, columns: int) -> tuple[int, ...]:
        """Return where else on a step a round looks, if that fits."""
        common, at, beside = sizes_of(width)
        others = common + at + 3 * (columns + 3) + 1
        if others > MAX_VALUES:
            problem = f"need {width} coefficients, {others:,} sums; {MAX_VALUES:,} are the most"
            raise ConfigError(
                "statistic.columns", problem, hint="take fewer columns, or columns of fewer levels"
            )
        fits = others + len(_BESIDE) * beside <= MAX_VALUES
        return tuple(round(t * Q32_ONE) for t in _BESIDE) if fits else ()

    def _mean_limits(self, column: Column) -> tuple[float, float]:
        """Return what the mean is held within; of a binomial target it has its own limits."""
        if not isinstance(column, NumberColumn) or self.family == "binomial":
            return 1e-8, 1.0
        low = _LEAST_MEAN if self.family == "poisson" else max(column.low / 2, column.high * _LEAST_PART)
        high = max(2 * column.high, 2 * low)
        return self.mu_min or low, self.mu_max or high
