"""Cox's proportional hazards with errors and p-values, over rows that stay apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from pysonar.estimators.base import said_as_scikit_learn_does, unlike
from pysonar.estimators.pooled import WIDEN, PooledEstimator, check_rows, complete, exact, names_in
from pysonar.frames.named import columns_of as numbers_of
from pysonar.frames.named import is_frame
from pysonar.frames.schema import Columns
from pysonar.statistics.fits.warning import StatisticWarning, Told, warn_of
from pysonar.statistics.local import ROWS_MAX
from pysonar.statistics.survival.cox import Cox
from sonar.data.frame import numbers
from sonar.data.schema import CategoryColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import LEAST_ROWS
from sonar.families.sums.terms.steps.timed import MAX_TIMES

if TYPE_CHECKING:
    from pysonar.api import Session

Vector = NDArray[np.float64]
MOST_TIMES = 100
"""Times of a grid that is made of the rows for a network; of more event times, every so many-th. In this
process a grid has as many as a question has room for."""
_GIVE = "give [n, 2] of times and events (1; 0 is censored), a frame of the two, or a structured array"


class SonarCox(PooledEstimator):
    """Compare hazards, and say how sure each ratio is, as lifelines' CoxPHFitter of the pooled rows does.

    `fit(X, y)` deals the rows to `mines` mines in this process; `fit_network(holdout_X, holdout_y,
    session=..., name=...)` asks a network's. y is [n, 2] of times and events (1; 0 is censored), a frame of
    these two columns, scikit-survival's structured array, or [n] of times that are all events, which a
    warning says.

    Parameters: `grid`, the times at which events are counted, ascending; None takes those of the rows, on a
    network at most 100. `ties` "efron" or "breslow". `schema`: what the columns mean, for categories and
    missing cells; None takes numbers alone, with bounds from the rows. `strata`: a column of categories of
    the schema, with a baseline each. `alpha`: intervals are of 1 - alpha. `rounds`, `mines`.

    Attributes: `coef_` float64[coefficients], logarithms of hazard ratios in the columns' own units, and
    their `coef_names_`; `result_`: the table with errors, z, p and intervals, `result_.summary()`, and
    baselines; `n_iter_`: rounds asked. Without a schema, columns that were constant have 0.
    """

    def __init__(
        self,
        *,
        grid: Sequence[float] | None = None,
        ties: str = "efron",
        schema: Columns | Mapping[str, Any] | None = None,
        strata: str | None = None,
        alpha: float = 0.05,
        rounds: int = 6,
        mines: int = 3,
    ) -> None:
        self.grid = grid
        self.ties = ties
        self.schema = schema
        self.strata = strata
        self.alpha = alpha
        self.rounds = rounds
        self.mines = mines

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: Any) -> SonarCox:
        """Fit on rows [n, features] with times and events, and return itself.

        Raises ArgumentError and ValueError, which name the column or the parameter.
        """
        with said_as_scikit_learn_does():
            table, times, events, _ = self._taken(X, y)
            time, event = unlike([*table], "time"), unlike([*table], "event")
            columns = self._columns(table, ())
            declared = (*columns, exact(time, times, 0.0), exact(event, events, 0.0, 1.0))
            statistic = self._finest(declared, len(columns), time, event, times, events)
            self._fit_here({**table, time: times, event: events}, declared, statistic)
        return self

    def _finest(
        self, declared: Columns, count: int, time: str, event: str, times: Vector, events: Vector
    ) -> Cox:
        """Return the question with the finest grid that it has room for. Raises ConfigError."""
        columns, most = declared[:count], min(len(times), MAX_TIMES)
        while True:
            statistic = self._statistic(columns, time, event, times, events, most)
            try:
                statistic.spec(declared, LEAST_ROWS, ROWS_MAX)
            except ConfigError:
                if most <= MOST_TIMES or self.grid is not None:
                    raise
                most = max(min(most, len(statistic.grid)) * 2 // 3, MOST_TIMES)
            else:
                return statistic

    def fit_network(
        self, holdout_X: Any, holdout_y: Any, *, session: Session, name: str, **settings: Any
    ) -> SonarCox:
        """Fit on the rows of a network's mines, and return itself; it is no model of the held-out rows.

        These say what mines' columns are called and, without schema and grid, what bounds and times there
        are. `holdout_y` is a frame, or a structured array, whose names mines' columns have: times first, then
        events. `settings`: money and windows of a study. Called again with the same arguments, also after a
        restart, it goes on with the same campaign, `campaign_`.

        Raises ArgumentError; and what `Session.campaign` and `Campaign.result` raise.
        """
        with said_as_scikit_learn_does():
            table, times, events, named = self._taken(holdout_X, holdout_y)
            if named is None:
                raise DataError("holdout_y", "has no names of columns", hint='give y[["time", "event"]]')
            time, event = named
            columns = self._columns(table, named, WIDEN)
            last = float(times.max()) * (1 + WIDEN)
            pair = (exact(time, times, 0.0, last), exact(event, events, 0.0, 1.0))
            own = tuple(self._own(one.name, one) for one in pair)
            statistic = self._statistic(columns, time, event, times, events)
        self._fit_session(session, name, (*columns, *own), statistic, settings)
        return self

    def predict(self, X: Any) -> Vector:
        """Return the logarithm of each row's hazard over that of a row with mean columns, float64[n].

        Raises ArgumentError, ValueError.
        """
        table = self._seen(X)
        with said_as_scikit_learn_does():
            found: Vector = self.result_.log_hazard(table)
        return found

    def predict_survival_function(self, X: Any, stratum: str = "all") -> Vector:
        """Return the part that is without an event at each time of the grid, float64[n, times].

        Raises ArgumentError, ValueError.
        """
        table = self._seen(X)
        with said_as_scikit_learn_does():
            found: Vector = self.result_.survival(table, stratum)
        return found

    def score(self, X: Any, y: Any) -> float:
        """Return Harrell's concordance: of pairs whose order is known, the part with the hazards' order.

        Of rows that have all of the columns, as `fit` takes them. Raises ArgumentError, ValueError.
        """
        hazards = self.predict(X)
        with said_as_scikit_learn_does():
            times, events, _ = survival_of(y)
            check_rows({"X": hazards}, times)
            there = complete(hazards)
        return concordance(times[there], events[there], hazards[there])

    def _taken(self, x: Any, y: Any) -> tuple[dict[str, Any], Vector, Vector, tuple[str, str] | None]:
        table = dict(self._table(x, reset=True))
        times, events, named = survival_of(y)
        check_rows(table, times)
        return table, times, events, named

    def _statistic(
        self,
        columns: Columns,
        time: str,
        event: str,
        times: Vector,
        events: Vector,
        most: int = MOST_TIMES,
    ) -> Cox:
        from pysonar.bounty.kinds.fields import statistic_of

        strata = self.strata
        if strata is not None and not any(
            isinstance(one, CategoryColumn) and one.name == strata for one in columns
        ):
            hint = "name a column that the schema describes with levels"
            raise ConfigError("strata", f"there is no column of categories {strata!r}", hint=hint)
        fields = {
            "time": time,
            "event": event,
            "columns": tuple(name for name in names_in(columns) if name != strata),
            "grid": tuple(self.grid) if self.grid is not None else grid_of(times, events, most),
            "strata": strata,
            "ties": self.ties,
            "alpha": self.alpha,
            "rounds_max": self.rounds,
        }
        found = statistic_of({"kind": "cox", **fields})
        assert isinstance(found, Cox)
        return found

    def _take(self, result: Any) -> None:
        self.result_ = result
        self.n_iter_ = int(result.rounds)
        self.coef_names_, self.coef_ = self._by_feature(result.names, result.params.tolist())


def survival_of(y: Any) -> tuple[Vector, Vector, tuple[str, str] | None]:
    """Return times float64[n], events float64[n] and the names of both, None for those without names.

    Raises DataError.
    """
    if y is None:
        raise DataError("y", "requires y to be passed, but the target y is None", hint=_GIVE)
    named: tuple[str, str] | None = None
    if is_frame(y):
        columns = numbers_of(y, None)
        if len(columns) != 2:
            raise DataError("y", f"has {len(columns)} columns; times and events are expected", hint=_GIVE)
        time, event = columns
        named, (times, events) = (time, event), columns.values()
        if not np.isin(events, (0.0, 1.0)).all() and np.isin(times, (0.0, 1.0)).all():
            problem = f"has the events, {time!r}, before the times, {event!r}"
            raise DataError("y", problem, hint=f"give y[[{event!r}, {time!r}]]: times first")
    elif isinstance(y, np.ndarray) and y.dtype.names and len(y.dtype.names) == 2:
        event, time = sorted(y.dtype.names, key=lambda name: y.dtype[name].kind != "b")
        named, times, events = (time, event), numbers(y[time], "y"), numbers(y[event], "y")
    else:
        array = numbers(check_array(y, ensure_2d=False, dtype=None, input_name="y"), "y")
        if array.ndim == 1 or array.shape[1] == 1:
            times, events = array.ravel(), np.ones(len(array))
            warn_of([Told(StatisticWarning, f"y has times alone: all {len(array)} rows count as events.")])
        elif array.ndim == 2 and array.shape[1] == 2:
            times, events = array.T
        else:
            raise DataError("y", f"has the shape {list(array.shape)}", hint=_GIVE)
    _check(times, events)
    return times, events, named


def _check(times: Vector, events: Vector) -> None:
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise DataError("y", "has a time that is no number of 0 or more", hint="drop such rows")
    if not np.isin(events, (0.0, 1.0)).all():
        raise DataError("y", "has an event that is neither 1 nor 0 (censored)", hint=_GIVE)
    if not events.any():
        raise DataError("y", "has no event: all rows are censored", hint="give rows with events")


def grid_of(times: Vector, events: Vector, most: int = MOST_TIMES) -> tuple[float, ...]:
    """Return the times of events, at most `most`: then those at equal steps of their ranks."""
    found = np.unique(times[events == 1])
    if len(found) > most:
        found = found[np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
    return tuple(found.tolist())


def concordance(times: Vector, events: Vector, hazards: Vector) -> float:
    """Return Harrell's C (1982): ties of hazards count half. NaN where no pair's order is known."""
    right = known = 0.0
    for place in np.flatnonzero(events == 1):
        later = (times > times[place]) | ((times == times[place]) & (events == 0))
        right += np.sum(hazards[later] < hazards[place]) + 0.5 * np.sum(hazards[later] == hazards[place])
        known += np.sum(later)
    return float(right / known) if known else float("nan")
