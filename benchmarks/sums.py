"""A question of 2,000 sums over ten mines, against numpy computing the same sums of the same rows.

Ours is all that mines do: the schema checks rows, guards look for rare ones, the sums become integers, and
masks cover them; and then the cohort's sum is opened. numpy's is the sums alone, one mine after the other,
from the same rows in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.race import Result, race, timed
from benchmarks.veil import MEMBERS, new_place, new_seeds
from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.families.sums.family import Sums
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import from_integers, plan_of
from sonar.veil.masks import Words, veiled_words
from sonar.veil.streams import Place
from sonar.veil.sums import class_word_sums, unveiled_words, word_sum

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
MINES, ROWS = 10, 100_000
NUMBERS, LEVELS, BINS = 48, 4, 10
WIDTH = 1 + NUMBERS + 2 * (LEVELS - 1)
KEY_BITS = 3072
ERROR_MAX = 1e-3
"""Of sums up to 1,000,000: a thousandth of a row."""


def columns_of() -> tuple[Column, ...]:
    """48 columns of numbers and two of categories."""
    numbers = [NumberColumn(name=f"x{i}", low_q32=to_q32(-3.0), high_q32=to_q32(3.0)) for i in range(NUMBERS)]
    levels = tuple(f"level {i}" for i in range(LEVELS))
    return (*numbers, *(CategoryColumn(name=name, levels=levels) for name in ("arm", "site")))


def question() -> SumsSpec:
    """The products of all columns, histograms of all numbers, and a table of the categories: 2,000 or so."""
    columns = columns_of()
    names = tuple(column.name for column in columns)
    bins = [
        {"kind": "histogram", "name": f"bins of {name}", "column": name, "bins": BINS}
        for name in names[:NUMBERS]
    ]
    terms = (
        {"kind": "moments", "name": "products", "columns": names},
        {"kind": "cells", "name": "table", "by": ("arm", "site")},
        *bins,
    )
    return SumsSpec.parse({"columns": columns, "terms": terms, "rows_min": 1000, "rows_max": 1 << 20})


def tables() -> list[Matrix]:
    """Each mine's rows, coded: float64[rows, columns]."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(MINES):
        categories = rng.integers(0, LEVELS, (ROWS, 2)).astype(np.float64)
        found.append(np.column_stack([rng.normal(size=(ROWS, NUMBERS)), categories]))
    return found


def by_numpy(rows: Matrix) -> Vector:
    """The same sums, as whoever has numpy writes them: float64[sums]."""
    x = np.clip(rows[:, :NUMBERS], -3.0, 3.0) / 3.0
    codes = rows[:, NUMBERS:].astype(np.int64)
    indicators = [codes[:, [i]] == np.arange(1, LEVELS) for i in range(2)]
    design = np.column_stack([np.ones(len(x)), x, *indicators])
    products = (design.T @ design)[np.triu_indices(design.shape[1])]
    bins = [np.histogram(column, bins=BINS, range=(-1.0, 1.0))[0] for column in x.T]
    cells = np.bincount(codes[:, 0] * LEVELS + codes[:, 1], minlength=LEVELS**2)
    return np.concatenate([products, cells, *bins])


def by_mines(spec: SumsSpec, mines: Sequence[Matrix]) -> Vector:
    """What is opened of the mines' answers under masks: the cohort's sums, float64[sums]."""
    plan, sent = plan_of(spec, KEY_BITS, MINES), [(new_seeds(), new_place()) for _ in mines]
    family, covered = Sums(), []
    for rows, (seeds, place) in zip(mines, sent, strict=True):
        values = family.values(plan, family.prepare(spec, plan, [rows]), [])
        covered.append((1, veiled_words(np.array(values, dtype=np.int64), seeds, place)))
    told = [
        (start, sums)
        for c in range(MEMBERS.count)
        for start, sums in _chunks(spec.values, [(1, seeds[c], place) for seeds, place in sent])
    ]
    opened = unveiled_words(word_sum(covered), told)
    found = from_integers(spec, plan, opened.tolist())
    products, *others = found.values()
    joined = products.reshape(-1, WIDTH * (WIDTH + 1) // 2).sum(axis=0)  # each is of two words
    return np.concatenate([joined, *(counts.ravel() for counts in others)])


def _chunks(count: int, answers: Sequence[tuple[int, bytes, Place]]) -> Iterator[tuple[int, Words]]:
    start = 0
    for sums in class_word_sums(count, answers):
        yield start, sums.copy()
        start += len(sums)


def sums_2000(rounds: int, quick: bool) -> Result:
    """Wall time of ten mines' answers under masks and their sum, over that of numpy's sums."""
    rounds = min(rounds, 3 if quick else 7)
    spec, mines = question(), tables()
    theirs = np.sum([by_numpy(rows) for rows in mines], axis=0)
    off = float(np.abs(by_mines(spec, mines) - theirs).max())
    assert off < ERROR_MAX, f"ours are off by {off}"
    clock = time.perf_counter
    runners = {
        "sonar": lambda: timed(lambda: by_mines(spec, mines), clock)[0],
        "numpy": lambda: timed(lambda: [by_numpy(rows) for rows in mines], clock)[0],
    }
    medians = race(runners, rounds)
    note = f"{len(theirs):,} sums, {MINES} mines of {ROWS:,} rows; at most 3 times numpy's wall time is asked"
    return Result({"numpy": medians["sonar"] / medians["numpy"]}, medians, rounds=rounds, note=note)
