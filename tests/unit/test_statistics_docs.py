"""The page on statistics says what its examples print."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from matplotlib import pyplot as plt

from pysonar.statistics.base import Result
from pysonar.statistics.registry import STATISTICS

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_every_example_prints_what_the_page_shows() -> None:
    blocks = list(_BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for block in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(block["code"], names)
        printed = [line.rstrip() for line in out.getvalue().splitlines()]
        assert printed == (block["printed"] or "").splitlines(), block["code"]


@pytest.mark.parametrize("method", ["plot", "predict"])
def test_the_page_says_which_results_have_it(method: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(rf"^- `{method}\(.*?\)`: (.*?)\.(?: |\n)", text, re.DOTALL | re.MULTILINE)
    told = {*re.findall(r"`(\w+)`", line)}
    have = set[str]()
    for kind, statistic in STATISTICS.items():
        result = get_type_hints(statistic.result)["return"]
        assert result is not Result, kind
        have |= {kind.replace("-", "_")} if hasattr(result, method) else set()
    assert told == have
