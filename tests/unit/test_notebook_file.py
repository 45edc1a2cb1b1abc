"""The notebooks as they are committed: clean, short, and in the facade's words only."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import pysonar

PATHS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
OBJECTS = {
    "network": pysonar.Session,
    "bounty": pysonar.Bounty,
    "key": pysonar.Key,
    "campaign": pysonar.Campaign,
    "model": pysonar.LinearModel,
}
FIELDS = {"figures", "loss", "weights"}
"""Attributes that a dataclass has on its objects only."""
LINES_TO_A_TABLE = 30
each = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return cells


def code_of(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "code"]


def used_in(path: Path) -> dict[str, set[str]]:
    """The attributes that names have, in a notebook's code."""
    used: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
    return used


def test_there_are_as_many_as_are_documented() -> None:
    names = {"classifier", "diabetes", "evaluation", "leaves", "statistics", "what-leaks"}
    assert {path.stem for path in PATHS} == names


@each
def test_it_is_short_and_has_no_outputs(path: Path) -> None:
    cells = cells_of(path)
    assert len(cells) <= 25
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert all(set(cell["metadata"]) == set() for cell in cells)


@each
def test_every_code_cell_is_explained_first(path: Path) -> None:
    kinds = [cell["cell_type"] for cell in cells_of(path)]
    assert kinds[0] == "markdown"
    assert all(kinds[i - 1] == "markdown" for i, kind in enumerate(kinds) if kind == "code")


@each
def test_it_uses_what_the_facade_exports(path: Path) -> None:
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            )
            for name in names:
                assert name is not None
                assert name.split(".")[0] not in ("sonar", "mine"), name
                assert name == "pysonar" or not name.startswith("pysonar."), name
    used = used_in(path)
    assert used["pysonar"] <= set(dir(pysonar)) - {*pysonar.__dict__} | set(pysonar.__all__)
    kinds = OBJECTS if "network" in used else {}
    for name, kind in kinds.items():
        for attribute in used.get(name, set()) - FIELDS:
            assert hasattr(kind, attribute), f"{name}.{attribute}"
            assert not attribute.startswith("_")


def test_the_first_shows_a_campaign_from_start_to_end() -> None:
    (path,) = (path for path in PATHS if path.stem == "diabetes")
    assert {"fit", "resume", "history", "payouts", "learned"} <= used_in(path)["campaign"]


def test_a_table_with_p_values_takes_few_lines() -> None:
    """From the first import to least squares over three hospitals."""
    (path,) = (path for path in PATHS if path.stem == "statistics")
    lines = "\n".join(code_of(path)).splitlines()
    (last,) = (number for number, line in enumerate(lines, 1) if "pysonar.ols(" in line)
    assert last + 1 <= LINES_TO_A_TABLE


def test_a_notebook_completes_the_facades_names() -> None:
    assert set(pysonar.__all__) <= set(dir(pysonar))
