"""The figures of classes in their short form, by the code that campaigns and mines run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.campaigns import Judged, split_of, trained

pytest.importorskip("sklearn")


@pytest.mark.parametrize(
    ("name", "own", "mines", "settings", "least"),
    [
        ("load_breast_cancer", 89, 2, {"feature_map": "bent"}, 0.95),
        ("load_wine", 45, 2, {}, 0.94),
        ("load_digits", 160, 4, {}, 0.90),
    ],
)
def test_a_model_of_a_few_mines_is_right(
    name: str, own: int, mines: int, settings: dict[str, str], least: float
) -> None:
    from sklearn import datasets

    data = getattr(datasets, name)()
    names = [str(one) for one in data.feature_names]
    found = []
    for seed in range(3):
        split = split_of(data.data, data.target, seed, own=own, mines=mines)
        model = trained(split, names, **settings)
        read = dict(zip(names, split.test[0].T, strict=True))
        found.append(Judged.of(model.predict_proba(read), model.classes, split.test[1]))
    assert np.mean([one.accuracy for one in found]) >= least
    classes = len(np.unique(data.target))
    assert np.mean([one.log_loss for one in found]) < 0.15 * np.log(classes)
