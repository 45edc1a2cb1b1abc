"""A linear model of a published map of the columns, by least squares on sums that nobody reads alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from pysonar.bounty.request import Bounty
from pysonar.bounty.tables import HeldOut
from pysonar.estimators.base import (
    Matrix,
    QuadraticEstimator,
    names_of,
    refuse_what_is_no_number,
    said_as_scikit_learn_does,
    unlike,
    usable_columns,
)
from pysonar.estimators.inprocess import fitted
from pysonar.frames.cells import series_of
from pysonar.frames.named import cells_of, is_frame
from sonar.data.frame import numbers
from sonar.errors import DataError
from sonar.protocol.record import MAX_NAME

Vector = NDArray[np.float64]


class SonarRegressor(RegressorMixin, QuadraticEstimator):  # type: ignore[misc]
    """Predict amounts: least squares on a published map of the columns.

    `fit(X, y)` deals the rows to `mines` mines in this process, which answer as a network's do;
    `fit_network(holdout_X, holdout_y, session=..., name=...)` asks a network's.

    Parameters: `feature_map` is "standard" (the columns themselves), "polynomial" or any other
    that a bounty knows, or a table such as {"kind": "polynomial", "degree": 3}; Fourier features are always
    a table, {"kind": "fourier", "n_components": 50}. `optimiser`: the same, by
    default "gradient-memory". `rounds`: at most so many are asked. `mines`: how many `fit` deals rows to, at
    least ten rows each.

    Attributes: `coef_` float64[features] or [targets, features] and `intercept_`: how far predictions move
    per unit of a column, in the column's range (`model_.ranges`); of a map that is no line in each column, of
    each column of the map (`model_.spec.names`). Columns that were constant have 0. `model_`: a
    `LinearModel`. `loss_`: the part of the target's variance that is left; `figures_`: R² and MSE, both on
    the rows of `fit` or on the holdout. `n_iter_`: rounds asked. `feature_names_in_`, `n_features_in_`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> SonarRegressor:
        """Fit on rows [n, features] and targets [n] or [n, targets], and return itself.

        Raises ArgumentError and ValueError, which name the column or the parameter.
        """
        with said_as_scikit_learn_does():
            x, wanted = self._taken(X, y)
            settings = self._settings(loss="squared")
            self._names, used = names_of(self), usable_columns(x)
            features = tuple(self._names[place] for place in used)
            targets = _names_of_targets(y, features, wanted.shape[1])
            held_out = HeldOut(features, targets, np.column_stack([x[:, used], wanted]))
            model, self.n_iter_ = fitted(settings, held_out, self.mines)
            self._adopt(model)
        return self

    def predict(self, X: Any) -> Vector:
        """Return predictions in the shape of the targets. Raises ArgumentError, ValueError."""
        x = self._seen(X)
        with said_as_scikit_learn_does():
            found = self.model_.predict(x)
        return found.reshape(len(found), -1) if self._wide else found

    def _taken(self, x: Any, y: Any) -> tuple[Matrix, Matrix]:
        """Return rows float64[n, features] and targets float64[n, targets]."""
        for field, table in (("X", x), ("y", y)):
            refuse_what_is_no_number(table, field)
        rows, wanted = validate_data(
            self, x, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        self._wide = wanted.ndim == 2
        targets = numbers(wanted, "y").reshape(len(rows), -1)
        for place, column in enumerate(targets.T, 1):
            if np.ptp(column) == 0:
                field = f"y, column {place}" if self._wide else "y"
                hint = "give targets that vary"
                raise DataError(field, f"is {column[0]:g} in every row", hint=hint)
        return rows, targets

    def _bounty(
        self, x: Any, y: Any, target: str, features: Sequence[str] | None, fields: dict[str, Any]
    ) -> Bounty:
        rows, wanted = self._taken(x, y)
        self._names, self._wide = names_of(self, features), False
        asked = self._asked("squared")
        return Bounty.of(rows, wanted.ravel(), target=target, features=self._names, **asked, **fields)

    def _shaped(self, coefficients: Matrix, intercepts: Matrix) -> tuple[Any, Any]:
        return (coefficients, intercepts) if self._wide else (coefficients[0], float(intercepts[0]))


def _names_of_targets(y: Any, features: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the targets' names as a series or a frame has them, or y0, y1, ...: none of them a feature's."""
    series = series_of(y)
    given = [series.name] if series is not None else [*cells_of(y)] if is_frame(y) else []
    names = [str(name) for name in given if name is not None]
    usable = len({*names, *features}) == len(names) + len(features) and len(names) == count
    if usable and all(1 <= len(name) <= MAX_NAME and name.isprintable() for name in names):
        return tuple(names)
    return tuple(unlike(features, f"y{place}") for place in range(count))
