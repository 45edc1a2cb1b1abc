"""A classifier on a published map of the columns: each class against the rest, probabilities calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

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
from pysonar.frames.cells import level_text, series_of
from pysonar.frames.labels import values_of
from sonar.data.schema import MAX_LEVELS, CategoryColumn
from sonar.errors import DataError

LOSS = "logistic-taylor"


class SonarClassifier(ClassifierMixin, QuadraticEstimator):  # type: ignore[misc]
    """Predict classes, of any number and kind of labels: a model of each against the rest, fitted at once.

    `fit(X, y)` deals the rows to `mines` mines in this process, which answer as a network's do;
    `fit_network(holdout_X, holdout_y, session=..., name=...)` asks a network's.

    Parameters: those of `SonarRegressor`.

    Attributes: `classes_`, in the order of the columns of `predict_proba`. `coef_` float64[1 or classes,
    features] and `intercept_`: how far a class's score moves per unit of a column, in the column's range; of
    two classes, the log odds of the last. Columns that were constant have 0. `model_`: a `LinearModel`.
    `loss_`: the log loss in parts of that of the classes' frequencies; `figures_`: log loss, AUC, accuracy,
    on the rows of `fit` or on the holdout, on which probabilities are calibrated too. `n_iter_`: rounds
    asked. `feature_names_in_`, `n_features_in_`.
    """

    def fit(self, X: Any, y: Any) -> SonarClassifier:
        """Fit on rows [n, features] and labels [n], and return itself.

        Raises ArgumentError and ValueError, which name the column or the parameter.
        """
        with said_as_scikit_learn_does():
            x, labels = self._taken(X, y)
            self.classes_, codes = np.unique(labels, return_inverse=True)
            settings = self._settings(loss=LOSS)
            self._names, used = names_of(self), usable_columns(x)
            features = tuple(self._names[place] for place in used)
            column = self._labels(unlike(features, "y"))
            values = np.column_stack([x[:, used], codes.astype(np.float64)])
            held_out = HeldOut(features, (column.name,), values, column)
            model, self.n_iter_ = fitted(settings, held_out, self.mines)
            self._adopt(model)
        return self

    def decision_function(self, X: Any) -> Matrix:
        """Return log odds of the last of two classes [n], else log probabilities [n, classes].

        Raises ArgumentError, ValueError.
        """
        x = self._seen(X)
        with said_as_scikit_learn_does():
            return self.model_.decision_function(x)

    def predict_proba(self, X: Any) -> Matrix:
        """Return the probability of each class, float64[n, classes]. Raises ArgumentError, ValueError."""
        x = self._seen(X)
        with said_as_scikit_learn_does():
            return self.model_.predict_proba(x)

    def predict_log_proba(self, X: Any) -> Matrix:
        """Return the logarithms of `predict_proba`. Raises ArgumentError, ValueError."""
        return np.asarray(np.log(self.predict_proba(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row, [n]. Raises ArgumentError, ValueError."""
        said = self.decision_function(X)
        codes = said.argmax(axis=1) if said.ndim == 2 else (said > 0).astype(np.intp)
        return np.asarray(self.classes_[codes])

    def _taken(self, x: Any, y: Any) -> tuple[Matrix, NDArray[Any]]:
        """Return rows float64[n, features] and labels [n]."""
        refuse_what_is_no_number(x, "X")
        if np.ma.isMaskedArray(y):
            raise DataError("y", "is a masked array", hint="drop the rows without a label")
        series = series_of(y)
        labels = y if series is None or hasattr(y, "iloc") else series.to_numpy()
        rows, labels = validate_data(self, x, labels, dtype=np.float64, ensure_min_samples=2)
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        if labels.dtype.kind in "mM":
            raise DataError("y", "holds dates or durations; labels are expected", hint="write them as texts")
        return rows, labels

    def _labels(self, name: str) -> CategoryColumn:
        """Return the vocabulary of a fit: the classes, or if these cannot be published, their places.

        Raises DataError.
        """
        count = len(self.classes_)
        if not 2 <= count <= MAX_LEVELS:
            hint = "give rows of two classes at least" if count < 2 else "put rare classes together"
            raise DataError(
                "y", f"has {count} class{'es' * (count > 1)}; 2 to {MAX_LEVELS} are expected", hint=hint
            )
        places = CategoryColumn(name=name, levels=tuple(str(place) for place in range(count)))
        texts = [level_text(label) for label in self.classes_.tolist()]
        try:
            found = CategoryColumn(name=name, levels=tuple(text for text in texts if text is not None))
        except ValidationError:
            return places
        same = np.array_equal(values_of(found.levels), self.classes_)
        return found if same else places

    def _bounty(
        self, x: Any, y: Any, target: str, features: Sequence[str] | None, fields: dict[str, Any]
    ) -> Bounty:
        rows, labels = self._taken(x, y)
        self._names = names_of(self, features)
        return Bounty.of(rows, labels, target=target, features=self._names, **self._asked(LOSS), **fields)

    def _adopt_network(self, model: Any) -> None:
        self.classes_ = np.asarray(model.classes)
        self._adopt(model)

    def _shaped(self, coefficients: Matrix, intercepts: Matrix) -> tuple[Any, Any]:
        return coefficients, intercepts
