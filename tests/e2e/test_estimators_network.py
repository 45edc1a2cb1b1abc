"""Estimators and questions on a network of this machine's own: chain, store and mines are real processes."""

from __future__ import annotations

import numpy as np
import pytest

import pysonar
from sonar.data import examples
from sonar.errors import ConfigError
from sonar.telling.progress import ListSink

pytestmark = pytest.mark.e2e


def test_a_table_of_regression_and_an_estimator_from_three_mines() -> None:
    table = examples.load("diabetes")
    rows = {name: table.column(name) for name in table.columns}
    own = {name: column[:42] for name, column in rows.items()}
    terms = {"cohort": 3, "min_mines": 3, "key_bits": 2048}
    schema = pysonar.columns_of(own, widen=0.5)
    with pysonar.connect(embedded=True, mines=3, progress=ListSink()) as session:
        found = pysonar.ols(session, target="target", schema=schema, **terms)
        shards = [{name: column[42 + i :: 3] for name, column in rows.items()} for i in range(3)]
        here = pysonar.ols(shards, target="target", schema=schema)
        assert found.nobs == here.nobs == 400
        np.testing.assert_allclose(found.params, here.params, rtol=1e-6)
        assert session.campaign(session.campaigns()[0]).resume().to_dict() == found.to_dict()
        again = pysonar.ols(session, target="target", schema=schema, **terms)
        assert again.to_dict() == found.to_dict()
        assert len(session.campaigns()) == 1  # the same question is the same study
        with pytest.raises(ConfigError, match=r"^schema: is missing"):
            pysonar.ols(session, target="target")

        x = np.column_stack([column for name, column in own.items() if name != "target"])
        estimator = pysonar.SonarRegressor(rounds=2).fit_network(
            x, own["target"], session=session, name="d", target="target", features=table.columns[:-1], **terms
        )
        assert estimator.score(x, own["target"]) == pytest.approx(estimator.figures_["r2"])
        assert estimator.campaign_.done
        assert estimator.model_.features == table.columns[:-1]
        np.testing.assert_allclose(estimator.to_sklearn().predict(x), estimator.predict(x))
