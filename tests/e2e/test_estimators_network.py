"""Estimators and questions on a network of this machine's own: chain, store and mines are real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pysonar
from pysonar.cli import main
from sonar.data import examples
from sonar.errors import ConfigError
from sonar.telling.progress import ListSink

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.e2e


def test_a_table_of_regression_and_an_estimator_from_three_mines(tmp_path: Path) -> None:
    table = examples.load("diabetes")
    rows = {name: table.column(name) for name in table.columns}
    own = {name: column[:42] for name, column in rows.items()}
    terms = {"cohort": 3, "min_mines": 3, "key_bits": 2048}
    schema = pysonar.columns_of(own, widen=0.5)
    place: dict[str, Any] = {"home": tmp_path / "home", "password": "secret"}
    with pysonar.connect(**place, embedded=True, mines=3, progress=ListSink()) as session:
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

        glm = pysonar.SonarGLM("gamma", schema=pysonar.columns_of({"bmi": rows["bmi"]}))
        weights, outcome = {"bmi": own["bmi"]}, own["target"]
        glm.fit_network(weights, outcome, session=session, name="g", target="target", **terms)
        shards = [{name: shard[name] for name in ("bmi", "target")} for shard in shards]
        asked = glm.campaign_.bounty
        assert isinstance(asked, pysonar.Study)
        here = pysonar.glm(shards, family="gamma", target="target", columns=["bmi"], schema=asked.schema)
        np.testing.assert_allclose(glm.coef_, here.params[1:], rtol=1e-6)
        assert 2 <= glm.n_iter_ <= 6

        card = session.card("d")
        assert "3 data sets of other people took part, with 400 rows in all" in card.to_markdown()
        home = ["d", "--home", str(tmp_path / "home")]
        names = ("model.onnx", "model.safetensors", "card.html", "card.md")
        files = {name: tmp_path / name for name in names}
        onnx, safetensors, html, markdown = map(str, files.values())
        assert main(["export", *home, "--onnx", onnx, "--safetensors", safetensors]) == 0
        assert main(["card", *home, "--html", html, "--markdown", markdown]) == 0
        assert main(["export", *home]) != 0  # no file is named
        again = pysonar.LinearModel.from_safetensors(safetensors)
        assert again.to_bytes() == estimator.model_.to_bytes()
        run = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(run.run(None, {"X": x})[0][:, 0], estimator.predict(x))
        assert files["card.md"].read_text().startswith("# d: a model of other people's data")
        assert files["card.html"].read_text().startswith("<!doctype html>")
