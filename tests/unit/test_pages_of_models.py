"""The pages on regression, survival and evaluation say what their examples print."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("regression.md", "survival.md", "evaluation.md")
_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def run(code: str, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_every_example_prints_what_the_page_shows(page: str) -> None:
    pytest.importorskip("pysonar.asking")
    blocks = list(_BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")))
    assert len(blocks) >= 3
    names: dict[str, Any] = {}
    for block in blocks:
        assert run(block["code"], names) == (block["printed"] or ""), block["code"]


def rewrite(page: Path) -> None:
    """Write what the examples print into a page: `python tests/unit/test_pages_of_models.py`."""
    names: dict[str, Any] = {}

    def shown(block: re.Match[str]) -> str:
        printed = run(block["code"], names)
        return f"```python\n{block['code']}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    page.write_text(_BLOCK.sub(shown, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    plt.switch_backend("agg")
    for name in sys.argv[1:] or PAGES:
        rewrite(DOCS / name)
