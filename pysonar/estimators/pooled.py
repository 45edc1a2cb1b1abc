"""What estimators on statistics share: tables and schema to a question, on mines here or on a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_feature_names, check_is_fitted, validate_data

from pysonar.bounty.study import Study
from pysonar.estimators.base import (
    names_of,
    refuse_what_is_no_number,
    said_as_scikit_learn_does,
    usable_columns,
)
from pysonar.estimators.inprocess import dealt
from pysonar.frames.coding import coded
from pysonar.frames.named import cells_of, is_frame
from pysonar.frames.schema import Columns, columns_given, columns_of
from pysonar.given import require_type
from pysonar.statistics.base import Statistic
from pysonar.statistics.local import compute
from sonar.data.schema import Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.telling.text import count

if TYPE_CHECKING:
    from pysonar.api import Session

Matrix = NDArray[np.float64]
Table = Mapping[str, Any]
WIDEN = 0.25
"""How far a network's bounds reach beyond the held-out rows, in parts of their range, without a schema."""


class PooledEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator whose model is a statistic of pooled rows, `result_`."""

    schema: Any
    mines: int
    result_: Any

    def _fit_here(self, table: Table, columns: Columns, statistic: Statistic) -> None:
        """Deal the rows of a table to mines in this process, and ask them."""
        require_type(self.mines, int, "mines", "mines=3 deals the rows to three")
        if not 1 <= self.mines <= 255:
            raise ConfigError("mines", f"is {self.mines}; 1 to 255 are possible", hint="give mines=3")
        rows = coded(table, columns, "X")
        self._take(compute(statistic, columns, [rows[part] for part in dealt(len(rows), self.mines)]))

    def _fit_session(
        self, session: Session, name: str, columns: Columns, statistic: Statistic, settings: dict[str, Any]
    ) -> None:
        """Ask the mines of a network."""
        from pysonar.api import Session as Kind

        with said_as_scikit_learn_does():
            if not isinstance(session, Kind):
                problem = f"is of the type {type(session).__name__!r}"
                raise ConfigError("session", problem, hint="give session=pysonar.connect()")
            study = Study.of(statistic, columns=columns, name=name, **settings)
        self.campaign_ = session.campaign(study)
        self._take(self.campaign_.result())

    def _take(self, result: Any) -> None:
        raise NotImplementedError

    def _seen(self, x: Any) -> Table:
        """Return the columns of a table to predict from. Raises ArgumentError, ValueError."""
        check_is_fitted(self)
        with said_as_scikit_learn_does():
            return self._table(x, reset=False)

    def _table(self, x: Any, *, reset: bool) -> Table:
        """Return the columns of X by name, and remember or check their names.

        Without a schema they are numbers, as scikit-learn takes them; with one, what the schema says.
        """
        if self.schema is None:
            refuse_what_is_no_number(x, "X")
            rows = validate_data(self, x, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
            return dict(zip(names_of(self), rows.T, strict=True))
        if not is_frame(x):
            hint = "give a frame, or a mapping of columns; or leave the schema out"
            raise DataError("X", "has no columns by name, and the schema names them", hint=hint)
        cells = cells_of(x)
        if reset:
            self.n_features_in_ = len(cells)
            self.feature_names_in_ = np.array([*cells], dtype=object)
        elif hasattr(x, "columns"):
            _check_feature_names(self, x, reset=False)
        return cells

    def _columns(self, table: Table, other: Sequence[str], widen: float = 0.0) -> Columns:
        """Return what the columns of a table mean, without `other`; of numbers the constant ones stay out."""
        if self.schema is None:
            names = [*table]
            used = usable_columns(np.column_stack([table[name] for name in names]))
            return columns_of({names[place]: table[names[place]] for place in used}, widen=widen)
        found = columns_given(self.schema, "schema")
        for column in found:
            if column.name not in table and column.name not in other:
                raise ConfigError("schema", f"there is no column {column.name!r} in X", hint="leave it out")
        known = {column.name for column in found}
        unknown = [name for name in table if name not in known and name not in other]
        if unknown:
            told = ", ".join(map(repr, unknown))[:200]
            hint = "describe it in the schema, or leave it out of X: X.drop(columns=[...])"
            raise ConfigError("schema", f"does not say what {told} of X is", hint=hint)
        return tuple(column for column in found if column.name not in other)

    def _own(self, name: str, otherwise: Column) -> Column:
        """Return what the schema says of a target, or `otherwise`."""
        given = columns_given(self.schema, "schema") if self.schema is not None else ()
        return next((column for column in given if column.name == name), otherwise)

    def _by_feature(self, names: Sequence[str], values: Sequence[float]) -> tuple[NDArray[Any], Matrix]:
        """Return the names of all coefficients and these, where a column that stayed out has 0."""
        found = dict(zip(names, values, strict=True))
        if self.schema is not None:
            return np.array([*found], dtype=object), np.array([*found.values()])
        every = names_of(self)
        return np.array(every, dtype=object), np.array([found.get(name, 0.0) for name in every])

    def __getstate__(self) -> dict[str, Any]:
        """Leave the campaign out: it lives in the session's home, and goes on from there."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "campaign_"}


def check_rows(table: Table, targets: Matrix) -> None:
    """Check that a table has as many rows as there are targets. Raises DataError."""
    rows = len(next(iter(table.values())))
    if rows != len(targets):
        hint = "give both for the same rows, in the same order"
        raise DataError("y", f"has {count(len(targets), 'row')}, and X has {rows:,}", hint=hint)


def complete(predicted: Matrix) -> NDArray[np.bool_]:
    """Return which rows have a prediction, bool[rows]: those that miss no cell. Raises DataError for none."""
    found = np.isfinite(predicted)
    if not found.any():
        raise DataError("X", "has no row with all of the columns", hint="fill in, or take other columns")
    return np.asarray(found)


def names_in(columns: Columns) -> tuple[str, ...]:
    """Return the names of columns."""
    return tuple(column.name for column in columns)


def exact(name: str, values: Matrix, low: float | None = None, high: float | None = None) -> NumberColumn:
    """Return a column of numbers whose bounds are these, or the least and the largest of `values`."""
    from pysonar.frames.schema import number

    least = float(values.min()) if low is None else low
    most = float(values.max()) if high is None else high
    return number(name, least, most)
