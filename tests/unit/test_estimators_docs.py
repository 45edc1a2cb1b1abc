"""The examples of docs/estimators.md run, and say what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pysonar

pytest.importorskip("pandas")
matplotlib = pytest.importorskip("matplotlib")
PAGE = (Path(__file__).parents[2] / "docs" / "estimators.md").read_text("utf-8")


def test_the_examples_of_the_page_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("agg")
    examples = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
    assert len(examples) == 6
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "docs/estimators.md", "exec"), names)
    told = capsys.readouterr().out
    assert "P>|t|" in told
    assert "rate ratio" in told


def test_what_the_page_names_is_there() -> None:
    for name in re.findall(r"pysonar\.(\w+)\(", PAGE):
        assert hasattr(pysonar, name), name
    table = re.findall(r"(?m)^\| `(\w+)` \|", PAGE)
    assert table == ["SonarRegressor", "SonarClassifier", "SonarGLM", "SonarCox"]
