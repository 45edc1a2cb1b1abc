"""Generalised linear models with errors and p-values, over rows that stay apart: binomial, Poisson, gamma."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_log_loss_score, d2_tweedie_score
from sklearn.utils.validation import check_array, column_or_1d

from pysonar.estimators.base import (
    refuse_what_is_no_number,
    said_as_scikit_learn_does,
    target_of,
    unlike,
)
from pysonar.estimators.pooled import WIDEN, PooledEstimator, check_rows, complete, exact, names_in
from pysonar.frames.schema import Columns, columns_of
from pysonar.statistics.glm.statistic import Glm
from sonar.data.frame import numbers
from sonar.data.schema import NumberColumn
from sonar.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pysonar.api import Session

Vector = NDArray[np.float64]
FAMILIES = ("binomial", "poisson", "gamma")


class SonarGLM(RegressorMixin, PooledEstimator):  # type: ignore[misc]
    """Predict a mean and say how sure each coefficient is, as statsmodels' GLM of the pooled rows does.

    `fit(X, y)` deals the rows to `mines` mines in this process; `fit_network(holdout_X, holdout_y,
    session=..., name=...)` asks a network's, in at most `rounds` rounds.

    Parameters: `family` "binomial" (y from 0 to 1, logit link), "poisson" (counts, log link) or "gamma"
    (amounts above 0, log link). `schema`: what the columns mean, for categories and missing cells
    (`pysonar.columns_of`, or a table for each); None takes numbers alone, with bounds from the rows.
    `alpha`: intervals are of 1 - alpha. `rounds`, `mines`.

    Attributes: `coef_` float64[coefficients], in the columns' own units, and their `coef_names_`;
    `intercept_`; `result_`: the table with errors, z, p and intervals, `result_.summary()`; `n_iter_`:
    rounds asked. Without a schema, columns that were constant have 0.
    """

    def __init__(
        self,
        family: str = "binomial",
        *,
        schema: Columns | Mapping[str, Any] | None = None,
        alpha: float = 0.05,
        rounds: int = 6,
        mines: int = 3,
    ) -> None:
        self.family = family
        self.schema = schema
        self.alpha = alpha
        self.rounds = rounds
        self.mines = mines

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Any) -> SonarGLM:
        """Fit on rows [n, features] and means [n], and return itself.

        Raises ArgumentError and ValueError, which name the column or the parameter.
        """
        with said_as_scikit_learn_does():
            table, target = self._taken(X, y)
            columns = self._columns(table, ())
            name = unlike([*table], "y")
            declared = (*columns, self._target(name, target, 0.0))
            self._fit_here({**table, name: target}, declared, self._statistic(columns, name))
        return self

    def fit_network(
        self,
        holdout_X: Any,
        holdout_y: Any,
        *,
        session: Session,
        name: str,
        target: str | None = None,
        **settings: Any,
    ) -> SonarGLM:
        """Fit on the rows of a network's mines, and return itself; it is no model of the held-out rows.

        These say what mines' columns are called and, without a schema, what bounds they have: a quarter wider
        than here. `target`: the column's name, by default that of the series `holdout_y`; the schema may
        describe it. `settings`: money and windows of a study. Called again with the same arguments, also
        after a restart, it goes on with the same campaign, `campaign_`.

        Raises ArgumentError; and what `Session.campaign` and `Campaign.result` raise.
        """
        with said_as_scikit_learn_does():
            target = target_of(holdout_y, target)
            table, values = self._taken(holdout_X, holdout_y)
            columns = self._columns(table, (target,), WIDEN)
            declared = (*columns, self._own(target, self._target(target, values, WIDEN)))
            statistic = self._statistic(columns, target)
        self._fit_session(session, name, declared, statistic, settings)
        return self

    def predict(self, X: Any) -> Vector:
        """Return the mean of each row, float64[n]: a probability, a rate or an amount; NaN of missing cells.

        Raises ArgumentError, ValueError.
        """
        table = self._seen(X)
        with said_as_scikit_learn_does():
            found: Vector = self.result_.predict(table)
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return D²: the part of the deviance that the model explains, 1 at best, 0 for the mean of y.

        Of rows that have all of the columns, as `fit` takes them. Raises ArgumentError, ValueError.
        """
        predicted = self.predict(X)
        with said_as_scikit_learn_does():
            there, y = complete(predicted), np.asarray(y)
            check_rows({"X": predicted}, y)
        predicted, y = predicted[there], y[there]
        sample_weight = None if sample_weight is None else np.asarray(sample_weight)[there]
        if self.family == "binomial":
            return float(d2_log_loss_score(y, predicted, sample_weight=sample_weight, labels=[0, 1]))
        power = 1 if self.family == "poisson" else 2
        return float(d2_tweedie_score(y, predicted, sample_weight=sample_weight, power=power))

    def _taken(self, x: Any, y: Any) -> tuple[dict[str, Any], Vector]:
        if self.family not in FAMILIES:
            told = ", ".join(map(repr, FAMILIES))
            raise ConfigError("family", f"{self.family!r:.60} is none of {told}", hint="choose one of them")
        if y is None:
            raise DataError("y", "requires y to be passed, but the target y is None", hint="give the targets")
        table = dict(self._table(x, reset=True))
        refuse_what_is_no_number(y, "y")
        target = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        check_rows(table, target)
        found: Vector = numbers(target, "y")
        low, high = float(found.min()), float(found.max())
        if low == high:
            raise DataError("y", f"is {low:g} in every row", hint="give targets that vary")
        if low < 0 or (self.family == "gamma" and low == 0) or (self.family == "binomial" and high > 1):
            least = {"binomial": "from 0 to 1", "poisson": "0 or more", "gamma": "more than 0"}[self.family]
            hint = "choose another family; of two classes make 0 and 1"
            problem = f"is from {low:g} to {high:g}; {self.family} takes what is {least}"
            raise DataError("y", problem, hint=hint)
        return table, found

    def _target(self, name: str, values: Vector, widen: float) -> NumberColumn:
        """Return the bounds of the target: those of the rows here, on a network further out."""
        if self.family == "binomial":
            return exact(name, values, 0.0, 1.0)
        if not widen:
            return exact(name, values, 0.0 if self.family == "poisson" else None)
        (found,) = columns_of({name: values}, widen=widen)
        assert isinstance(found, NumberColumn)
        low = max(found.low, float(values.min()) / 2) if self.family == "gamma" else 0.0
        return exact(name, values, low, found.high)

    def _statistic(self, columns: Columns, target: str) -> Glm:
        from pysonar.bounty.kinds.fields import statistic_of

        fields = {"family": self.family, "target": target, "columns": names_in(columns), "alpha": self.alpha}
        found = statistic_of({"kind": "glm", "rounds_max": self.rounds, **fields})
        assert isinstance(found, Glm)
        return found

    def _take(self, result: Any) -> None:
        self.result_ = result
        self.n_iter_ = int(result.rounds)
        self.intercept_ = float(result.params[0])
        self.coef_names_, self.coef_ = self._by_feature(result.names[1:], result.params[1:].tolist())
