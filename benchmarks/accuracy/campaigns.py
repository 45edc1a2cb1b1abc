"""A campaign in one process, by the code that real ones run: the scientist's design, mines with all that they
refuse, rounds in integers, the ridge and the calibration. Only key, chain and store are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.base import Compared, Found, no_less, no_more
from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from pysonar.models.ridge import with_ridge
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.prepare import LEAST_OF_EITHER, prepare
from sonar.families.registry import family_of

Array = NDArray[Any]
QUICK_SPLITS, SPLITS = 3, 20


@dataclass(frozen=True)
class Split:
    """Rows of one split: the scientist's, each mine's, and those that nobody has: x [n, f] and labels [n]."""

    own: tuple[Array, Array]
    mines: Sequence[tuple[Array, Array]]
    test: tuple[Array, Array]

    @property
    def pooled(self) -> tuple[Array, Array]:
        """All rows but the test's, in one place."""
        parts = [self.own, *self.mines]
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def split_of(x: Array, y: Array, seed: int, *, own: int, mines: int, test: float = 0.2) -> Split:
    """Return a split: a part `test` of each class, then `own` rows for the scientist, the rest for mines."""
    from sklearn.model_selection import train_test_split

    first, kept = train_test_split(np.arange(len(y)), test_size=test, random_state=seed, stratify=y)
    hers, theirs = train_test_split(first, train_size=own, random_state=seed, stratify=y[first])
    parts = [(x[rows], y[rows]) for rows in np.array_split(theirs, mines)]
    return Split((x[hers], y[hers]), parts, (x[kept], y[kept]))


def trained(split: Split, names: Sequence[str], **settings: Any) -> LinearModel:
    """Return the model that a campaign ends with, with its ridge.

    Columns that would single rows out at a mine are left out: their refusals name them.
    """
    wanted = {"name": "figure", "loss": "logistic-taylor", "cohort": len(split.mines), "min_mines": 2}
    kept = [i for i in range(len(names)) if all(_is_fit(x[:, i]) for x, _ in (split.own, *split.mines))]
    names = [names[i] for i in kept]
    own, mines = split.own[0][:, kept], [(x[:, kept], y) for x, y in split.mines]
    bounty = Bounty.of(own, split.own[1], target="class", features=names, **(wanted | settings))
    design, family = bounty.design, family_of(bounty.design.spec)
    maps = [_map(bounty, *rows) for rows in mines]
    course: Course = family.start(design)
    for number in range(1, bounty.settings.rounds + 1):
        answers = [one.answer(course.current.weights_int, design.plan.weight_frac) for one in maps]
        weights = [min(one.rows, design.plan.weight_rows) for one in maps]
        sums = [sum(w * v for w, v in zip(weights, each, strict=True)) for each in zip(*answers, strict=True)]
        everybody = [str(i) for i in range(len(maps))]
        course = family.seen(design, course, number, sums, sum(weights), everybody)
        course = course.moved(family.step(design, bounty.optimiser, course))
    return with_ridge(design, course)


def _is_fit(column: Array) -> bool:
    return int(np.count_nonzero(column != np.median(column))) >= LEAST_OF_EITHER


def _map(bounty: Bounty, x: Array, y: Array) -> LocalMap:
    """Return what a mine's answers are made of, after all of its checks."""
    spec = bounty.design.spec
    assert spec.labels is not None
    codes = [spec.labels.levels.index(str(label)) for label in y.tolist()]
    return prepare(spec, bounty.design.plan, [np.column_stack([x, codes])])


@dataclass(frozen=True)
class Judged:
    """How good one model is on the test rows: the part that is right, and the mean log loss in nats."""

    accuracy: float
    log_loss: float

    @classmethod
    def of(cls, proba: Array, classes: Array, y: Array) -> Judged:
        """Judge probabilities [n, classes] of labels y [n]."""
        codes = np.searchsorted(classes, y)
        told = np.maximum(proba[np.arange(len(y)), codes], 1e-15)
        return cls(float(np.mean(proba.argmax(axis=1) == codes)), float(-np.mean(np.log(told))))


def compared(
    what: str,
    splits: Sequence[Split],
    names: Sequence[str],
    accuracy: float,
    log_loss: float | None = None,
    **settings: Any,
) -> Found:
    """Return the means over splits beside logistic regression on the pooled rows: by how much the accuracy
    may be less, and the log loss more, if that is asked.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ours, pooled = [], []
    for split in splits:
        model = trained(split, names, **settings)
        read = dict(zip(names, split.test[0].T, strict=True))
        ours.append(Judged.of(model.predict_proba(read), model.classes, split.test[1]))
        peer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(*split.pooled)
        pooled.append(Judged.of(peer.predict_proba(split.test[0]), peer.classes_, split.test[1]))
    right = [mean(one.accuracy for one in each) for each in (ours, pooled)]
    told = [mean(one.log_loss for one in each) for each in (ours, pooled)]
    rows: list[Compared] = [
        no_less("accuracy", right[0], right[1], accuracy),
        no_more("log loss", told[0], told[1], log_loss or 0.0),
    ]
    return Found(
        f"{what}, mean of {len(splits)} splits", "scikit-learn", rows[: 1 if log_loss is None else 2]
    )
