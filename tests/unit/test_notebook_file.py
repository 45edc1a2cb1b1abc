"""The notebook as it is committed: clean, short, and in the facade's words only."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pysonar

PATH = Path(__file__).parents[2] / "notebooks" / "diabetes.ipynb"
CELLS = json.loads(PATH.read_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
OBJECTS = {
    "network": pysonar.Session,
    "bounty": pysonar.Bounty,
    "key": pysonar.Key,
    "campaign": pysonar.Campaign,
    "model": pysonar.LinearModel,
}
FIELDS = {"figures", "loss", "weights"}
"""Attributes that a dataclass has on its objects only."""


def test_it_is_short_and_has_no_outputs() -> None:
    assert len(CELLS) <= 25
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in CELLS)
    assert all(set(cell["metadata"]) == set() for cell in CELLS)


def test_every_code_cell_is_explained_first() -> None:
    kinds = [cell["cell_type"] for cell in CELLS]
    assert kinds[0] == "markdown"
    assert all(kinds[i - 1] == "markdown" for i, kind in enumerate(kinds) if kind == "code")


def test_it_uses_what_the_facade_exports() -> None:
    used: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse("\n".join(CODE))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            )
            for name in names:
                assert name is not None
                assert name.split(".")[0] not in ("sonar", "mine"), name
                assert name == "pysonar" or not name.startswith("pysonar."), name
    assert used["pysonar"] <= set(dir(pysonar)) - {*pysonar.__dict__} | set(pysonar.__all__)
    for name, kind in OBJECTS.items():
        for attribute in used.get(name, set()) - FIELDS:
            assert hasattr(kind, attribute), f"{name}.{attribute}"
            assert not attribute.startswith("_")
    assert {"fit", "resume", "history", "payouts", "learned"} <= used["campaign"]


def test_a_notebook_completes_the_facades_names() -> None:
    assert set(pysonar.__all__) <= set(dir(pysonar))
