"""Ridge and elastic net in one round, over a path of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen
from pysonar.statistics.columns import outside
from pysonar.statistics.linear.asked import LinearStatistic
from pysonar.statistics.linear.gram import Gram
from pysonar.statistics.linear.paths import (
    Path,
    Problem,
    elastic_net_alphas,
    elastic_net_coefs,
    problem_of,
    ridge_coefs,
)
from sonar.data.schema import Schema
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Penalty = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Penalties = Annotated[tuple[Penalty, ...], Field(strict=False, min_length=1, max_length=1000)]


class Penalised(LinearStatistic):
    """A linear model with an intercept, whose coefficients are penalised at each of `alphas`.

    `standardize`: whether they are penalised per deviation of their columns; they are told in own units.
    """

    standardize: bool = False

    def fitted(self, spec: SumsSpec, seen: Sequence[Seen]) -> Path:
        """Return the path that opened sums make. Raises DataError."""
        last = seen[-1]
        gram, places, warnings = self.filled(spec, last)
        whole = gram.only([*places, len(gram.labels) - 1])
        told = (*outside(spec, last.totals), *warnings)
        return self.path(whole, self.unit(spec), self.rows(spec, last), spec.columns, told)

    def path(self, whole: Gram, unit: float, rows: int, schema: Schema, warnings: tuple[str, ...]) -> Path:
        """Return the path of a Gram with the target last, whose weights are shares of `unit`."""
        problem = problem_of(whole, self.standardize, unit)
        alphas, coefs, l1_ratio = self.solved(problem)
        losses = problem.tss - 2 * coefs @ problem.moment + np.sum(coefs @ problem.gram * coefs, axis=1)
        own = coefs / problem.units
        return Path(
            target=self.target,
            names=whole.labels[:-1],
            alphas=alphas,
            coefs=own,
            intercepts=whole.mean[-1] - own @ whole.mean[:-1],
            rsquared=1 - losses / problem.tss if problem.tss > 0 else np.full(len(alphas), np.nan),
            l1_ratio=l1_ratio,
            standardize=self.standardize,
            nobs=rows,
            deviations=np.sqrt(np.diag(whole.cross)[:-1] / whole.weight),
            warnings=warnings,
            schema=schema,
        )

    def solved(self, problem: Problem) -> tuple[Vector, Matrix, float]:
        """Return alphas, coefficients [alphas, k] in the problem's units, and the share of L1."""
        raise NotImplementedError


class Ridge(Penalised):
    """Ridge regression, |y - x b|^2 + alpha |b|^2: equals scikit-learn's Ridge at each of `alphas`."""

    kind: Literal["ridge"] = "ridge"
    alphas: Penalties = (1.0,)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Path:
        """See `Statistic`."""
        return self.fitted(spec, seen)

    def solved(self, problem: Problem) -> tuple[Vector, Matrix, float]:
        """See `Penalised`."""
        alphas = np.sort(np.array(self.alphas))[::-1]
        return alphas, ridge_coefs(problem, alphas), 0.0


class ElasticNet(Penalised):
    """Elastic net, and the lasso at an `l1_ratio` of 1: equals scikit-learn's enet_path and ElasticNet.

    Without `alphas` there are `n_alphas` of them, from the least at which nothing is left down to a
    thousandth of it.
    """

    kind: Literal["elastic-net"] = "elastic-net"
    l1_ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    alphas: Penalties | None = None
    n_alphas: Annotated[int, Field(ge=1, le=1000)] = 100

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Path:
        """See `Statistic`."""
        return self.fitted(spec, seen)

    def solved(self, problem: Problem) -> tuple[Vector, Matrix, float]:
        """See `Penalised`. Raises ConfigError."""
        if self.alphas is None:
            alphas = elastic_net_alphas(problem, self.l1_ratio, self.n_alphas)
        else:
            alphas = np.sort(np.array(self.alphas))[::-1]
        if alphas[-1] == 0:
            hint = "take alphas above 0; or ols, which penalises nothing"
            raise ConfigError("statistic.alphas", "has a 0", hint=hint)
        return alphas, elastic_net_coefs(problem, self.l1_ratio, alphas), self.l1_ratio
