"""A model that is measured on other people's rows, in one round: nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import category_column, level_of_one
from pysonar.statistics.evaluation.result import EvaluationResult, labels_of_target, warnings_of
from pysonar.statistics.evaluation.sums import measured, measured_of_moments
from pysonar.statistics.fits.asking import check_names, spec_of
from pysonar.statistics.fits.sound import refuses_false_sums
from pysonar.statistics.fits.wald import own_units
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import MAX_PARAMETERS, SumsSpec
from sonar.families.sums.terms.design import labels_of
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.steps.scores import Scores, Task
from sonar.paillier.slots import MAX_VALUES

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Numbers = Annotated[tuple[Number, ...], Field(strict=False, min_length=1)]
Rows = Annotated[tuple[Numbers, ...], Field(strict=False, min_length=1)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
SCORES, MOMENTS = "scores", "moments"
_BINS = {"regression": (20,), "logistic": (1000, 500, 250, 100, 50), "classes": (1000, 500, 250, 100, 50)}
_LOGIT_MAX = 16.0


def _listed(given: Any) -> Any:
    """Return arrays and numbers of NumPy as lists and numbers, in lists too."""
    if isinstance(given, np.ndarray | np.generic):
        return given.tolist()
    return [_listed(each) for each in given] if isinstance(given, list | tuple) else given


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


class Evaluation(Statistic):
    """How well a linear model predicts `target` of `columns`, over all rows and by the groups of `by`.

    `task`: "regression" (a number), "logistic" (0 or 1, or two categories), or "classes" (categories, by
    softmax). Of two categories in "logistic", the second level counts as 1 (of `columns_of`: by the
    alphabet); the summary names it. `coefficients`: a row for each output, of a number for each column in its
    own unit, and for each level but the first of a column of categories; `intercepts`: one for each output.
    There is one output, or in "classes" one for each level of the target. Arrays are taken too, and one
    output's alone: a list of numbers and a number, as scikit-learn's `coef_` and `intercept_` are.

    `threshold`: the probability from which on a row counts as 1. `edges`: where the bins of scores end, from
    which AUC and calibration follow: quantiles of the model's probabilities on rows that are at hand are
    best (`edges_of`). Without them 50 to 1,000 bins of equal width in logits are taken, as many as fit.

    The mines see the model, unless it is `private`: then they add up products of columns, as for least
    squares, of which its squared error follows at home. A model of a regression can be, any other cannot.
    """

    kind: Literal["evaluation"] = "evaluation"
    task: Task
    target: str
    columns: Names
    coefficients: Rows
    intercepts: Numbers
    by: str | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    edges: Numbers | None = None
    private: bool = False

    @field_validator("coefficients", mode="before")
    @classmethod
    def _rows(cls, given: Any) -> Any:
        """Take scikit-learn's `coef_` as it is: [outputs, width], and [width] of one output."""
        plain = _listed(given)
        return [plain] if isinstance(plain, list) and plain and all(map(_is_number, plain)) else plain

    @field_validator("intercepts", mode="before")
    @classmethod
    def _each(cls, given: Any) -> Any:
        """Take scikit-learn's `intercept_` as it is: [outputs], and a number of one output."""
        plain = _listed(given)
        return [plain] if _is_number(plain) else plain

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        check_names(columns, target=self.target, columns=self.columns, by=self.by)
        by_name = {column.name: column for column in columns}
        if self.by is not None:
            category_column(columns, self.by, "by")
        weights = self.weights(columns)
        names = [name for name in (self.target, *self.columns, self.by) if name]
        if self.private:
            return spec_of(columns, names, [self._moments(by_name[self.target])], 0, rows_min, rows_max)
        if weights.size > MAX_PARAMETERS:
            problem = f"{weights.size:,} coefficients; {MAX_PARAMETERS:,} are the most"
            raise ConfigError("statistic.coefficients", problem, hint="take fewer columns or levels")
        term = self._term(by_name)
        return spec_of(columns, names, [term], weights.size, rows_min, rows_max)

    def start(self, spec: SumsSpec) -> Vector:
        """See `Statistic`: the model's weights; none of a private one."""
        return np.zeros(0) if self.private else self.weights(spec.columns).ravel()

    @refuses_false_sums
    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> EvaluationResult:
        """See `Statistic`. Raises DataError if no row has all cells."""
        if self.private:
            found = measured_of_moments(spec, seen[0], self.raw(spec.columns), self.by)
        else:
            found = measured(spec, seen[0])
        if found[0].rows == 0:
            hint = "leave out columns that are often missing"
            raise DataError("rows", "no row has all of the cells that the model needs", hint=hint)
        return EvaluationResult(
            task=self.task,
            target=self.target,
            by=self.by,
            private=self.private,
            overall=found[0],
            groups=tuple(found[1:]),
            labels=labels_of_target(spec, self.target),
            threshold=self.threshold,
            mines=seen[0].mines,
            warnings=warnings_of(spec, seen[0], found, self.by, self.target),
            target_level=level_of_one(spec.by_name[self.target]) if self.task == "logistic" else None,
        )

    def raw(self, columns: Sequence[Column]) -> Matrix:
        """Return float64[outputs, width] in the columns' own units: intercept, then coefficients.

        Raises ConfigError for another number of them than the columns need.
        """
        by_name = {column.name: column for column in columns}
        labels = labels_of(by_name, self.columns)[1:]
        target = by_name[self.target]
        outputs = len(target.levels) if self.task == "classes" and isinstance(target, CategoryColumn) else 1
        if len(self.intercepts) != outputs or len(self.coefficients) != outputs:
            problem = (
                f"{len(self.coefficients)} rows and {len(self.intercepts)} intercepts; {outputs} of each"
            )
            hint = "give scikit-learn's coef_ and intercept_: of one output, or of each level of the target"
            raise ConfigError("statistic.coefficients", f"{problem} are needed for {self.task}", hint=hint)
        for row in self.coefficients:
            if len(row) != len(labels):
                problem = f"a row has {len(row)} numbers; {len(labels)} are needed"
                raise ConfigError("statistic.coefficients", problem, hint=f"of {', '.join(labels)}"[:300])
        return np.column_stack([np.array(self.intercepts), np.array(self.coefficients)])

    def weights(self, columns: Sequence[Column]) -> Matrix:
        """Return float64[outputs, width] of the design row. Raises ConfigError."""
        raw = self.raw(columns)
        back = np.linalg.inv(own_units(columns, self.columns))
        found = raw @ back.T
        target = {column.name: column for column in columns}[self.target]
        if self.task == "regression" and isinstance(target, NumberColumn):
            found = found / target.scale
            found[:, 0] -= target.centre / target.scale
        for value in found.ravel().tolist():
            to_q32(value, "statistic.coefficients")
        return np.asarray(found)

    def _moments(self, target: Column) -> Moments:
        if self.task != "regression" or not isinstance(target, NumberColumn):
            raise ConfigError(
                "statistic.private",
                f"a model of {self.task} cannot be: its losses do not follow from sums of products",
                hint="leave `private` out, and the mines see the weights; or measure it as a regression",
            )
        return Moments(name=MOMENTS, columns=(*self.columns, self.target), by=self.by)

    def _term(self, by_name: dict[str, Column]) -> Scores:
        """Return the term with the most bins that fit. Raises ConfigError if the given ones do not."""
        target = by_name[self.target]
        if self.edges is not None:
            tries = [self._given_edges(self.edges, target)]
        else:
            tries = [self._usual_edges(bins) for bins in _BINS[self.task]]
        for edges in tries:
            term = Scores(
                name=SCORES,
                task=self.task,
                target=self.target,
                columns=self.columns,
                edges_q32=edges,
                threshold_q32=round(self.threshold * Q32_ONE),
                by=self.by,
            )
            needed = self._sums(term, by_name)
            if needed <= MAX_VALUES:
                return term
        problem = f"{len(tries[-1])} edges need {needed:,} sums over all groups; {MAX_VALUES:,} are the most"
        raise ConfigError("statistic.edges", problem, hint="give fewer `edges`, such as 50; or fewer groups")

    def _given_edges(self, edges: Sequence[float], target: Column) -> tuple[int, ...]:
        """Return where bins end: of probabilities, or of predictions in half ranges of the target."""
        if self.task == "regression" and isinstance(target, NumberColumn):
            edges = [(edge - target.centre) / target.scale for edge in edges]
        found = tuple(to_q32(edge, "statistic.edges") for edge in edges)
        if list(found) != sorted(set(found)):
            raise ConfigError("statistic.edges", "do not ascend", hint="give each once, in ascending order")
        return found

    def _usual_edges(self, bins: int) -> tuple[int, ...]:
        if self.task == "regression":
            edges = np.linspace(-1, 1, bins + 1)[1:-1]
        else:
            edges = 1 / (1 + np.exp(-np.linspace(-_LOGIT_MAX, _LOGIT_MAX, bins - 1)))
        return tuple(round(edge * Q32_ONE) for edge in edges.tolist())

    def _sums(self, term: Scores, by_name: dict[str, Column]) -> int:
        """Return how many sums the question has; 0 if the term cannot be of these columns."""
        try:
            term.check(by_name, self.weights(list(by_name.values())).size)
        except ValueError:
            return 0  # what is wrong is said where the spec is made
        groups, sums = term.shape(by_name)
        return 1 + groups * sums + 3 * (len(self.columns) + 2)


def edges_of(scores: NDArray[np.float64], bins: int = 256) -> tuple[float, ...]:
    """Return quantiles of probabilities float64[n] on rows at hand, such as a holdout. Raises DataError."""
    hint = "give the model's probabilities of rows at hand: model.predict_proba(x)[:, 1]"
    scores = np.asarray(scores)
    if scores.dtype.kind not in "fiu" or scores.ndim != 1:
        problem = f"are {scores.dtype} of the shape {list(scores.shape)}; numbers [rows] are expected"
        raise DataError("scores", problem, hint=hint)
    if len(scores) == 0 or not np.isfinite(scores).all():
        raise DataError("scores", "are empty, or have one that is no number", hint=hint)
    if scores.min() < 0 or scores.max() > 1:
        problem = f"are from {scores.min():g} to {scores.max():g}; probabilities are from 0 to 1"
        raise DataError("scores", problem, hint=hint)
    if not 2 <= bins <= 1 << 16:
        raise DataError("bins", f"is {bins}; 2 to {1 << 16:,} are possible", hint="leave it out for 256")
    found = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    return tuple(np.unique(np.rint(found * Q32_ONE) / Q32_ONE).tolist())
