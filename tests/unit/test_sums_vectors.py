"""The vector file is what the code makes, and is right by the protocol's page alone."""

from __future__ import annotations

import json
import math
import runpy
from fractions import Fraction
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = json.loads((ROOT / "tests" / "vectors" / "sums.json").read_text())
CASES = {case["name"]: case for case in DOCUMENT["cases"]}
Row = list[Any]
Numbers = list[Fraction]


def test_the_code_makes_the_file() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_sums.py"))
    assert script["main"](["--check"]) == 0


# ---- below, nothing of ours and no numpy: exact fractions, and the page's words

ROWS: list[Row] = DOCUMENT["codes"]


class Table:
    """The columns of a question, by name."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.columns = {column["name"]: (place, column) for place, column in enumerate(spec["columns"])}

    def cell(self, name: str, row: Row) -> Any:
        return row[self.columns[name][0]]

    def levels(self, name: str) -> list[str]:
        found: list[str] = self.columns[name][1].get("levels", [])
        return found

    def bounds(self, name: str) -> tuple[Fraction, Fraction]:
        column = self.columns[name][1]
        return Fraction(column["low_q32"], 2**32), Fraction(column["high_q32"], 2**32)

    def clipped(self, name: str, row: Row) -> Fraction:
        low, high = self.bounds(name)
        return max(low, min(high, Fraction(self.cell(name, row))))

    def standard(self, name: str, row: Row) -> Fraction:
        low, high = self.bounds(name)
        return (self.clipped(name, row) - (low + high) / 2) / ((high - low) / 2)

    def design(self, names: list[str], row: Row) -> Numbers:
        found = [Fraction(1)]
        for name in names:
            levels = range(1, len(self.levels(name)))
            found += [Fraction(self.cell(name, row) == one) for one in levels] or [self.standard(name, row)]
        return found

    def complete(self, *names: str | None) -> list[Row]:
        return [row for row in ROWS if all(self.cell(one, row) is not None for one in names if one)]

    def groups(self, by: str | None, rows: list[Row]) -> list[list[Row]]:
        if by is None:
            return [rows]
        return [[row for row in rows if self.cell(by, row) == one] for one in range(len(self.levels(by)))]


def moments(table: Table, term: dict[str, Any]) -> Numbers:
    rows, found = table.complete(*term["columns"], term.get("by"), term.get("weight")), []
    for group in table.groups(term.get("by"), rows):
        designs = [table.design(term["columns"], row) for row in group]
        weights = [
            table.clipped(term["weight"], row) / table.bounds(term["weight"])[1] if "weight" in term else 1
            for row in group
        ]
        width = len(table.design(term["columns"], ROWS[0]))
        for i, j in combinations_with_replacement(range(width), 2):
            found.append(sum((w * v[i] * v[j] for w, v in zip(weights, designs, strict=True)), Fraction(0)))
    return found


def powers(table: Table, term: dict[str, Any]) -> Numbers:
    found = []
    for group in table.groups(term.get("by"), table.complete(term["column"], term.get("by"))):
        values = [table.standard(term["column"], row) for row in group]
        found.append(Fraction(len(values)))
        found += [sum((v**k for v in values), Fraction(0)) for k in range(1, term["order"] + 1)]
    return found


def logs(table: Table, term: dict[str, Any]) -> Numbers:
    rows = table.complete(term["column"], *term["columns"])
    return [Fraction(sum(math.log(table.clipped(term["column"], row)) for row in rows))]


def cells(table: Table, term: dict[str, Any]) -> Numbers:
    rows = table.complete(*term.get("columns", ()), *term["by"])
    places = product(*(range(len(table.levels(name))) for name in term["by"]))
    return [
        Fraction(
            sum(all(table.cell(n, row) == c for n, c in zip(term["by"], place, strict=True)) for row in rows)
        )
        for place in places
    ]


def histogram(table: Table, term: dict[str, Any]) -> Numbers:
    found = []
    low, high = table.bounds(term["column"])
    for group in table.groups(term.get("by"), table.complete(term["column"], term.get("by"))):
        counts = [Fraction(0)] * term["bins"]
        for row in group:
            share = (table.clipped(term["column"], row) - low) / (high - low)
            counts[min(int(share * term["bins"]), term["bins"] - 1)] += 1
        found += counts
    return found


def brackets(table: Table, term: dict[str, Any], at: Numbers) -> Numbers:
    """Of brackets as wide as they may be, whose lower edges are within the bounds."""
    found: Numbers = []
    high = table.bounds(term["column"])[1]
    for start, stop in zip(at[::2], at[1::2], strict=True):
        counts = [Fraction(0)] * (term["bins"] + 2)
        for row in table.complete(term["column"]):
            value = table.clipped(term["column"], row)
            place = int((value - start) / (stop - start) * term["bins"]) + 1 if value >= start else 0
            counts[min(place, term["bins"] + (value < high or stop < high))] += 1
        found += counts
    return found


def outside(table: Table, term: dict[str, Any]) -> Numbers:
    found: Numbers = []
    for name in term["columns"]:
        values = [table.cell(name, row) for row in ROWS]
        there = [value for value in values if value is not None]
        counts = [len(values) - len(there), 0, 0]
        if not table.levels(name):
            low, high = table.bounds(name)
            counts[1:] = sum(value < low for value in there), sum(value > high for value in there)
        found += map(Fraction, counts)
    return found


SUMS = {
    "moments": moments,
    "powers": powers,
    "logs": logs,
    "cells": cells,
    "histogram": histogram,
    "outside": outside,
}


def opened(term: dict[str, Any], shape: list[int], values: Numbers) -> Numbers:
    """Add up the words of sums that have several."""
    if term["kind"] == "moments":
        half = len(values) // 2
        return [one + other for one, other in zip(values[:half], values[half:], strict=True)]
    if term["kind"] == "powers":
        found, order = list[Fraction](), term["order"]
        for start in range(0, len(values), shape[1]):
            words = values[start + 1 : start + shape[1]]
            found.append(values[start])
            found += [sum(words[k * order : (k + 1) * order], Fraction(0)) for k in range(order)]
        return found
    return values


PLAIN = [case for case in CASES.values() if case["spec"]["terms"][0]["kind"] in (*SUMS, "brackets")]


@pytest.mark.parametrize("case", PLAIN, ids=lambda x: x["name"])
def test_an_answer_is_the_sums_of_the_page(case: dict[str, Any]) -> None:
    table, scale = Table(case["spec"]), 2 ** case["plan"]["data_frac"]
    bounds = [Fraction(bound) for bound in case["bounds"]]
    sent = [int(one) for one in case["answer"]]
    assert sent[0] == len(ROWS) * scale
    assert all(abs(one) <= case["plan"]["b_max"] for one in sent)
    values, start = [b * u / scale for b, u in zip(bounds, sent, strict=True)], 1
    for term in case["spec"]["terms"]:
        shape = case["shapes"][term["name"]]
        own = values[start : start + math.prod(shape)]
        room = max(bounds[start : start + len(own)]) / scale
        start += len(own)
        at = [Fraction(int(one), 2**32) for one in case["question"]]
        wanted = brackets(table, term, at) if term["kind"] == "brackets" else SUMS[term["kind"]](table, term)
        for found, right in zip(opened(term, shape, own), wanted, strict=True):
            assert abs(found - right) <= room, term["name"]
    assert start == len(sent)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda x: x["name"])
def test_a_plan_fits_a_word(case: dict[str, Any]) -> None:
    plan, spec = case["plan"], case["spec"]
    bits = 62 - spec["rows_max"].bit_length() - DOCUMENT["mines_max"].bit_length()
    assert plan["data_frac"] == min(bits, 48)
    assert plan["b_max"] == spec["rows_max"] << plan["data_frac"]
    assert plan["weights"] == len(case["answer"]) == len(case["bounds"])
    assert DOCUMENT["mines_max"] * plan["b_max"] < 2**62


@pytest.mark.parametrize("case", CASES.values(), ids=lambda x: x["name"])
def test_a_question_is_eight_bytes_a_number(case: dict[str, Any]) -> None:
    numbers = [int(one) for one in case["question"]] or [0]
    assert case["blob"] == b"".join(one.to_bytes(8, "big", signed=True) for one in numbers).hex()
    assert case["spec"].get("parameters", 0) == len(case["question"])


def test_cells_are_codes_by_the_schema() -> None:
    spec = DOCUMENT["cases"][0]["spec"]
    for texts, codes in zip(DOCUMENT["cells"], ROWS, strict=True):
        for text, code, column in zip(texts, codes, spec["columns"], strict=True):
            if code is None:
                assert text in ("", "NA")
            elif column["kind"] == "number":
                assert float(text) == code
            else:
                level = column["levels"][int(code)]
                same = {level, level.lower(), level.upper(), str(int(level == "True")), f"{level}.0"}
                assert text in same
