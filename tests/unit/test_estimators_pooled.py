"""SonarGLM and SonarCox: what they find, beside scikit-learn's own, and what they refuse."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor
from sklearn.model_selection import cross_val_score

import pysonar
from pysonar.estimators.cox import SonarCox, concordance, grid_of
from pysonar.estimators.glm import SonarGLM
from pysonar.statistics.fits.warning import StatisticWarning

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(7)
X = RNG.normal(size=(400, 3))
ETA = 0.3 + 0.5 * X[:, 0] - 0.4 * X[:, 1]
COUNTS = RNG.poisson(np.exp(ETA)).astype(float)
AMOUNTS = RNG.gamma(3.0, np.exp(ETA) / 3.0)
CLASSES = (RNG.random(400) < 1 / (1 + np.exp(-ETA))).astype(float)
TIMES = np.ceil(20 * RNG.exponential(np.exp(-ETA)))
EVENTS = (RNG.random(400) < 0.7).astype(float)
SITES = np.array(["a", "b", "c"])[np.digitize(X[:, 2], [0.0, 1.0])]
FRAME = pd.DataFrame({"age": 50 + 10 * X[:, 0], "dose": X[:, 1], "site": SITES})

PEERS: dict[str, tuple[Any, Any]] = {
    "poisson": (PoissonRegressor(alpha=0, tol=1e-10, max_iter=2000), COUNTS),
    "gamma": (GammaRegressor(alpha=0, tol=1e-10, max_iter=2000), AMOUNTS),
    "binomial": (LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000), CLASSES),
}


@pytest.mark.parametrize("family", PEERS)
def test_coefficients_are_those_of_the_pooled_rows(family: str) -> None:
    peer, y = PEERS[family]
    ours, pooled = SonarGLM(family).fit(X, y), peer.fit(X, y)
    np.testing.assert_allclose(ours.coef_, np.ravel(pooled.coef_), rtol=1e-4)
    assert ours.intercept_ == pytest.approx(float(np.ravel(pooled.intercept_)[0]), rel=1e-4)
    assert ours.n_iter_ <= 6
    told = pooled.predict_proba(X)[:, 1] if family == "binomial" else pooled.predict(X)
    np.testing.assert_allclose(ours.predict(X), told, rtol=1e-4)
    assert 0 < ours.score(X, y) < 1
    assert "P>|z|" in ours.result_.summary()
    assert cross_val_score(SonarGLM(family), X, y, cv=3).mean() > 0


def test_categories_and_missing_cells_go_by_a_schema() -> None:
    holes = FRAME.assign(dose=FRAME["dose"].where(FRAME["dose"] < 1.5))
    with pytest.raises(ValueError, match="column 'site': row 1 is the text"):
        SonarGLM("poisson").fit(FRAME, COUNTS)
    schema = pysonar.columns_of(holes)
    ours = SonarGLM("poisson", schema=schema).fit(holes, COUNTS)
    assert ours.coef_names_.tolist() == ["age", "dose", "site[b]", "site[c]"]
    assert ours.result_.rows == int((FRAME["dose"] < 1.5).sum())
    predicted = ours.predict(holes)
    assert np.isnan(predicted).tolist() == (FRAME["dose"] >= 1.5).tolist()
    some = clone(ours).set_params(schema=[column for column in schema if column.name != "site"])
    assert some.fit(holes.drop(columns="site"), COUNTS).coef_names_.tolist() == ["age", "dose"]
    there = FRAME["dose"] < 1.5
    assert ours.score(holes, COUNTS) == pytest.approx(ours.score(FRAME[there], COUNTS[there]))
    with pytest.raises(ValueError, match="X: has no row with all of the columns"):
        ours.score(holes[~there], COUNTS[~there])
    with pytest.raises(ValueError, match=r"column 'site': row 1 is 'z', which is not in its vocabulary"):
        ours.predict(holes.assign(site="z"))


def test_hazards_are_compared_and_told_apart() -> None:
    y = np.column_stack([TIMES, EVENTS])
    ours = SonarCox().fit(X, y)
    assert ours.coef_ == pytest.approx([0.5, -0.4, 0.0], abs=0.2)
    hazards = ours.predict(X)
    np.testing.assert_allclose(hazards - hazards[0], (X - X[0]) @ ours.coef_, rtol=1e-9, atol=1e-9)
    assert ours.score(X, y) > 0.6
    curves = ours.predict_survival_function(X)
    assert (np.diff(curves, axis=1) <= 0).all()
    assert ((curves >= 0) & (curves <= 1)).all()
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.predict(X), hazards)


def test_times_and_events_may_come_in_every_way_that_people_have_them() -> None:
    plain = SonarCox().fit(X, np.column_stack([TIMES, EVENTS]))
    record = np.array(list(zip(EVENTS == 1, TIMES, strict=True)), dtype=[("dead", bool), ("days", float)])
    frame = pd.DataFrame({"days": TIMES, "dead": EVENTS == 1})
    for y in (record, frame):
        np.testing.assert_array_equal(SonarCox().fit(X, y).coef_, plain.coef_)
    with pytest.warns(StatisticWarning, match="y has times alone: all 400 rows count as events"):
        everyone = SonarCox().fit(X, TIMES)
    assert everyone.result_.events == 400


def test_concordance_is_of_rows_that_have_all_columns() -> None:
    y, holes = np.column_stack([TIMES, EVENTS]), FRAME.assign(dose=FRAME["dose"].where(FRAME["dose"] < 1.5))
    ours = SonarCox(schema=pysonar.columns_of(holes)).fit(holes, y)
    there = FRAME["dose"] < 1.5
    assert ours.score(holes, y) == ours.score(holes[there], y[there])


def test_strata_have_baselines_of_their_own() -> None:
    schema = pysonar.columns_of(FRAME)
    ours = SonarCox(schema=schema, strata="site").fit(FRAME, np.column_stack([TIMES, EVENTS]))
    assert ours.coef_names_.tolist() == ["age", "dose"]
    assert {one.stratum for one in ours.result_.baseline} >= {"a", "b", "c"}


def test_concordance_counts_pairs_whose_order_is_known() -> None:
    times, events = np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 0.0, 1.0, 0.0])
    assert concordance(times, events, np.array([4.0, 1.0, 3.0, 2.0])) == 1.0
    assert concordance(times, events, np.array([1.0, 4.0, 2.0, 3.0])) == 0.0
    assert concordance(times, events, np.ones(4)) == 0.5
    assert np.isnan(concordance(times, np.zeros(4), times))


def test_in_process_a_grid_has_all_event_times_that_there_is_room_for() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 2))
    times = rng.exponential(np.exp(-0.5 * x[:, 0]))
    few = SonarCox().fit(x[:300], times[:300])
    assert len(few.result_.baseline[0].times) == 300
    many = SonarCox().fit(x, times)
    assert 100 < len(many.result_.baseline[0].times) < 3000
    assert many.coef_ == pytest.approx([0.5, 0.0], abs=0.06)


def test_a_grid_of_many_times_is_thinned() -> None:
    times = np.arange(1.0, 1001.0)
    found = grid_of(times, np.ones(1000))
    assert len(found) == 100
    assert (found[0], found[-1]) == (1.0, 1000.0)
    assert grid_of(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])) == (1.0, 3.0)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no family": (lambda: SonarGLM("normal").fit(X, COUNTS), "family: 'normal' is none of"),
    "classes of texts": (lambda: SonarGLM().fit(X, CLASSES.astype(str)), "y: row 1 is the text"),
    "labels 1 and 2": (lambda: SonarGLM().fit(X, CLASSES + 1), "y: is from 1 to 2; binomial takes"),
    "a negative count": (lambda: SonarGLM("poisson").fit(X, COUNTS - 1), "poisson takes what is 0 or more"),
    "no amount": (lambda: SonarGLM("gamma").fit(X, COUNTS), "gamma takes what is more than 0"),
    "constant": (lambda: SonarGLM("poisson").fit(X, np.ones(400)), "y: is 1 in every row"),
    "dates": (lambda: SonarGLM("poisson").fit(X, COUNTS.astype("datetime64[D]")), "y: holds dates"),
    "other rows": (lambda: SonarGLM("poisson").fit(X, COUNTS[1:]), "y: has 399 rows, and X has 400"),
    "other rows of a mapping": (
        lambda: SonarGLM("poisson", schema={"a": {"low": 0, "high": 1}}).fit({"a": [0.5, 0.1]}, COUNTS),
        "y: has 400 rows, and X has 2",
    ),
    "alpha": (lambda: SonarGLM("poisson", alpha=2.0).fit(X, COUNTS), "alpha"),
    "mines": (lambda: SonarGLM("poisson", mines=0).fit(X, COUNTS), "mines: is 0"),
    "one round": (lambda: SonarGLM("poisson", rounds=1).fit(X, COUNTS), "rounds: "),
    "a schema without a frame": (
        lambda: SonarGLM("poisson", schema=pysonar.columns_of(FRAME)).fit(X, COUNTS),
        "X: has no columns by name",
    ),
    "a schema of other columns": (
        lambda: SonarGLM("poisson", schema={"bmi": {"low": 0, "high": 1}}).fit(FRAME, COUNTS),
        "schema: there is no column 'bmi' in X",
    ),
    "a column outside the schema": (
        lambda: SonarGLM("poisson", schema=pysonar.columns_of(FRAME, ["age"])).fit(FRAME, COUNTS),
        "schema: does not say what 'dose', 'site' of X is",
    ),
    "events before times": (
        lambda: SonarCox().fit(X, pd.DataFrame({"dead": EVENTS, "days": TIMES})),
        "y: has the events, 'dead', before the times, 'days'",
    ),
    "collinear": (lambda: SonarGLM("poisson").fit(np.column_stack([X, X[:, 0]]), COUNTS), "x3"),
    "three columns of y": (lambda: SonarCox().fit(X, X), "y: has the shape [400, 3]"),
    "negative times": (lambda: SonarCox().fit(X, -TIMES), "y: has a time that is no number of 0 or more"),
    "events of 2": (lambda: SonarCox().fit(X, np.column_stack([TIMES, EVENTS * 2])), "y: has an event"),
    "no event": (lambda: SonarCox().fit(X, np.column_stack([TIMES, 0 * EVENTS])), "y: has no event"),
    "no strata": (lambda: SonarCox(strata="site").fit(X, TIMES), "strata: there is no column of categories"),
    "a grid that goes back": (lambda: SonarCox(grid=[2, 1]).fit(X, TIMES), "grid"),
    "no ties": (lambda: SonarCox(ties="exact").fit(X, TIMES), "ties"),
    "no session": (
        lambda: SonarGLM("poisson").fit_network(X, COUNTS, session=3, name="d", target="n"),  # type: ignore[arg-type]
        "session: is of the type 'int'",
    ),
    "no names": (
        lambda: SonarCox().fit_network(X, np.column_stack([TIMES, EVENTS]), session=3, name="d"),  # type: ignore[arg-type]
        "holdout_y: has no names",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_a_value_error_that_names_it(name: str) -> None:
    call, said = WRONG[name]
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert said in str(caught.value)
    assert getattr(caught.value, "hint", "-")
