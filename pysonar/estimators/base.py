"""What all estimators share: how they take tables, and how a campaign's model becomes theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from pysonar.bounty.settings import Settings, settings_of
from pysonar.frames.cells import as_numbers, series_of
from pysonar.frames.named import cells_of, is_frame
from pysonar.given import require_type
from pysonar.models.linear import LinearModel
from sonar.data.frame import numbers
from sonar.errors import ArgumentError, ConfigError, DataError, UsageError
from sonar.families.quadratic.maps.standard import Standard

if TYPE_CHECKING:
    from pysonar.api import Campaign, Session

Matrix = NDArray[np.float64]

_SILENT = frozenset("mMVSU")
"""Kinds of arrays that scikit-learn makes numbers of without a word: dates, durations, records, texts."""


@contextmanager
def said_as_scikit_learn_does() -> Iterator[None]:
    """Raise ArgumentError, which is a ValueError, for what the caller gave wrongly."""
    try:
        yield
    except ArgumentError:
        raise
    except UsageError as error:
        told = (
            str(error).removeprefix("statistic.").replace("rounds_max", "rounds")
        )  # as parameters are called
        raise ArgumentError(told, hint=error.hint) from error


def refuse_what_is_no_number(x: Any, field: str) -> None:
    """Raises DataError naming a column that scikit-learn would convert in silence: masked, dates, texts."""
    if series_of(x) is not None:
        as_numbers(x, field)
    elif is_frame(x):
        for name, cells in cells_of(x).items():
            as_numbers(cells, f"column {name!r}")
    elif np.ma.isMaskedArray(x) or (isinstance(x, np.ndarray) and _silently_taken(x)):
        numbers(x, field)


def _silently_taken(x: NDArray[Any]) -> bool:
    return x.dtype.kind in _SILENT or (x.dtype.kind == "O" and any(isinstance(cell, str) for cell in x.flat))


def names_of(estimator: Any, features: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the columns that an estimator has seen: its table's, or x0, x1, ..."""
    count = int(estimator.n_features_in_)
    if features is not None:
        if isinstance(features, str) or len(features) != count:
            problem = f"names {len(features)} columns, and X has {count}"
            raise ConfigError("features", problem, hint="name each column, in order: features=[...]")
        return tuple(features)
    found = getattr(estimator, "feature_names_in_", None)
    return tuple(map(str, found)) if found is not None else tuple(f"x{place}" for place in range(count))


class QuadraticEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator of the quadratic family; its parameters are those of `SonarRegressor`."""

    model_: LinearModel

    def __init__(
        self,
        feature_map: str | Mapping[str, Any] = "standard",
        *,
        optimiser: str | Mapping[str, Any] = "gradient-memory",
        rounds: int = 20,
        mines: int = 3,
    ) -> None:
        self.feature_map = feature_map
        self.optimiser = optimiser
        self.rounds = rounds
        self.mines = mines

    def fit_network(
        self,
        holdout_X: Any,
        holdout_y: Any,
        *,
        session: Session,
        name: str,
        target: str | None = None,
        features: Sequence[str] | None = None,
        **settings: Any,
    ) -> Any:
        """Fit on the rows of a network's mines, judged by held-out rows of one's own; returns itself.

        `session` is what `pysonar.connect` returned. The bounty's `name`; the column `target`, by default the
        name of the series `holdout_y`; and `features`, by default the columns of the frame `holdout_X`: mines
        must have columns of these names. `settings`: money, windows, and all other fields of a bounty. It
        waits until the last round is paid. Called again with the same arguments, also after a restart, it
        goes on with the same campaign, `campaign_`.

        Raises ArgumentError; and what `Session.campaign` and `Campaign.fit` raise.
        """
        from pysonar.api import Session as Kind

        with said_as_scikit_learn_does():
            if not isinstance(session, Kind):
                problem = f"is of the type {type(session).__name__!r}"
                raise ConfigError("session", problem, hint="give session=pysonar.connect()")
            target = target_of(holdout_y, target)
            for field in ("feature_map", "optimiser", "rounds"):
                if field in settings:
                    hint = f"give it to the estimator: {type(self).__name__}({field}=...)"
                    raise ConfigError(field, "is a parameter of the estimator", hint=hint)
            bounty = self._bounty(holdout_X, holdout_y, target, features, {"name": name, **settings})
        campaign = session.campaign(bounty)
        self.campaign_: Campaign = campaign
        self._adopt_network(campaign.fit())
        self.n_iter_ = len(campaign.history())
        return self

    def _bounty(
        self, x: Any, y: Any, target: str, features: Sequence[str] | None, fields: dict[str, Any]
    ) -> Any:
        raise NotImplementedError

    def _asked(self, loss: str) -> dict[str, Any]:
        """Return the fields of a bounty that are parameters here. Raises ConfigError."""
        settings = self._settings(loss=loss)
        return {name: getattr(settings, name) for name in ("loss", "feature_map", "optimiser", "rounds")}

    def _adopt_network(self, model: LinearModel) -> None:
        self._adopt(model)

    def _adopt(self, model: LinearModel) -> None:
        """Take a model, whose features are some of the columns that were seen."""
        names = self._names
        self.model_ = model
        self._used = [names.index(name) for name in model.features]
        self.loss_ = model.loss / 1e6
        self.figures_ = dict(model.figures)
        self._tell_coefficients()

    def _tell_coefficients(self) -> None:
        """Set `coef_` and `intercept_`: by how much the model moves per unit of a column, in its range."""
        slopes = np.array([slope.per_unit for slope in self.model_.slopes.values()])
        by_output = slopes.reshape(self.model_.spec.outputs, -1)
        linear = isinstance(self.model_.spec.stages[-1], Standard) and len(self.model_.spec.stages) == 1
        width = len(self._names) if linear else by_output.shape[1] - 1
        coefficients = np.zeros((len(by_output), width))
        coefficients[:, self._used if linear else slice(None)] = by_output[:, :-1]
        self.coef_, self.intercept_ = self._shaped(coefficients, by_output[:, -1])

    def _shaped(self, coefficients: Matrix, intercepts: Matrix) -> tuple[Any, Any]:
        raise NotImplementedError

    def _settings(self, **fields: Any) -> Settings:
        """Return a bounty's settings. Raises ConfigError naming the parameter."""
        require_type(self.mines, int, "mines", "mines=3 deals the rows to three")
        if not 1 <= self.mines <= 255:
            raise ConfigError("mines", f"is {self.mines}; 1 to 255 are possible", hint="give mines=3")
        for field in ("feature_map", "optimiser"):
            given = getattr(self, field)
            fields[field] = dict(given) if isinstance(given, Mapping) else given
        if fields["feature_map"] in ("fourier", "linear-fourier"):
            kind = fields["feature_map"]
            hint = f'give feature_map={{"kind": "{kind}", "n_components": 50}}'
            raise ConfigError("feature_map", f"is {kind!r}, which needs a number of components", hint=hint)
        try:
            return settings_of({"name": "fit", "rounds": self.rounds, **fields})
        except ConfigError as error:
            if error.field != "rounds":
                raise
            hint = f"leave it out for {signature(type(self)).parameters['rounds'].default}, the default"
            raise ConfigError("rounds", error.problem, hint=hint) from None

    def _seen(self, x: Any, **checks: Any) -> Matrix:
        """Return the model's columns of a table, float64[rows, columns]. Raises ArgumentError, ValueError."""
        check_is_fitted(self)
        with said_as_scikit_learn_does():
            refuse_what_is_no_number(x, "X")
        found: Matrix = validate_data(self, x, reset=False, dtype=np.float64, **checks)
        return found[:, self._used]

    def to_sklearn(self) -> Any:
        """Return a fitted pipeline of scikit-learn's own estimators that predicts the same.

        Raises ConfigError for a map that scikit-learn has no transformer for.
        """
        check_is_fitted(self)
        found = self.model_.to_sklearn()
        if self._used == list(range(self.n_features_in_)):
            return found
        taken = ColumnTransformer([("used", "passthrough", self._used)])
        taken.fit(np.zeros((1, self.n_features_in_)))
        return Pipeline([("used", taken), *found.steps])

    def __getstate__(self) -> dict[str, Any]:
        """Leave the campaign out: it lives in the session's home, and goes on from there."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "campaign_"}


def usable_columns(x: Matrix) -> list[int]:
    """Return which columns of x float64[rows, columns] are not constant. Raises DataError if all are."""
    used = np.flatnonzero(np.ptp(x, axis=0) > 0).tolist()
    if not used:
        raise DataError("X", "has no column that varies", hint="give columns that tell the rows apart")
    return used


def target_of(y: Any, target: str | None) -> str:
    """Return the name of the column that is predicted. Raises ConfigError."""
    found = target if target is not None else getattr(y, "name", None)
    if not isinstance(found, str) or not found:
        hint = 'mines look their column up by it: target="progression"'
        raise ConfigError("target", "is not named", hint=hint)
    return found


def unlike(names: Sequence[str], name: str) -> str:
    """Return a name that none of `names` is: `name`, or with lines below it."""
    return name if name not in names else unlike(names, f"{name}_")
