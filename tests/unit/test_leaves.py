"""Leaves of trees: which rows they mark, what no two of them may single out, and how they are grown."""

from __future__ import annotations

import math
import sys
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.models.growing import APART, LEAST_SHARE, grown
from pysonar.models.linear import LinearModel
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.errors import ConfigError, ConsentError, DataError, ManifestError
from sonar.families.quadratic.maps.leaves import Leaves, LeavesWish
from sonar.families.quadratic.maps.pairs import Pairs, fourfold, too_near
from sonar.families.quadratic.prepare import LEAST_OF_EITHER, prepare
from sonar.families.quadratic.spec import QuadraticSpec
from tests.unit.fuzzing import INPUTS, changed_value, fuzz

Array = NDArray[np.float64]
STANDARD = {"kind": "standard", "mean_q32": [0] * 4, "std_q32": [Q32_ONE] * 4, "clip_q32": 8 * Q32_ONE}


def over(column: int, above: float | None = None, upto: float | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"column": column}
    if above is not None:
        found["above_q32"] = to_q32(above)
    if upto is not None:
        found["upto_q32"] = to_q32(upto)
    return found


def spec(*leaves: list[dict[str, Any]], columns: int = 2, after: list[Any] | None = None) -> QuadraticSpec:
    target = {"name": "y", "centre_q32": 0, "scale_q32": Q32_ONE, "clip_q32": 8 * Q32_ONE}
    names = ["age", "bmi", *(f"c{i}" for i in range(2, columns))][:columns]
    stages = [{"kind": "leaves", "leaves": list(leaves)}, *(after or [])]
    return QuadraticSpec.parse({"features": names, "targets": [target], "rows_min": 1, "stages": stages})


# ---- what they mark

EDGES = st.sampled_from([-1.5, -0.25, 0.0, 0.5, 2.0])


@st.composite
def ranges(draw: st.DrawFn) -> list[dict[str, Any]]:
    columns = sorted(draw(st.sets(st.integers(0, 2), min_size=1)))
    found = []
    for column in columns:
        above, upto = sorted(draw(st.tuples(EDGES, EDGES).filter(lambda two: two[0] != two[1])))
        which = draw(st.sampled_from(["above", "upto", "both"]))
        found.append(over(column, None if which == "upto" else above, None if which == "above" else upto))
    return found


@given(
    leaves=st.lists(ranges(), min_size=1, max_size=5, unique_by=repr),
    rows=st.lists(st.lists(EDGES | st.floats(-3, 3), min_size=3, max_size=3), min_size=1, max_size=8),
)
def test_a_leaf_marks_the_rows_in_all_its_ranges(leaves: list[Any], rows: list[list[float]]) -> None:
    phi = spec(*leaves, columns=3).transform(np.array(rows))
    assert phi.shape == (len(rows), 3 + len(leaves) + 1)
    for row, made in zip(rows, phi, strict=True):
        inside = [
            all(
                row[one["column"]] > one.get("above_q32", -math.inf) / Q32_ONE
                and row[one["column"]] <= one.get("upto_q32", math.inf) / Q32_ONE
                for one in leaf
            )
            for leaf in leaves
        ]
        assert made.tolist() == [*row, *map(float, inside), 1.0]


def test_leaves_are_named_by_their_ranges() -> None:
    asked = spec([over(0, upto=50)], [over(0, 20, 50.5), over(1, above=27.35)], [over(1, above=1 / 3)])
    assert asked.names == (
        *("age", "bmi", "age <= 50", "20 < age <= 50.5 and bmi > 27.35"),
        *("bmi > 0.3333333333", "(bias)"),
    )
    assert asked.words == (
        "as they are, and 3 leaves of trees (1 in ranges of up to 2 columns, 0 elsewhere): 6 weights"
    )


def test_thresholds_that_differ_have_names_that_differ() -> None:
    near = {"column": 0, "upto_q32": to_q32(0.1) + 1}
    names = spec([over(0, upto=0.1)], [near]).names
    assert names[2] == "age <= 0.1"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("stages", "field", "told"),
    [
        ([[]], "stages.0.leaves.0", "at least 1"),
        ([], "stages.0.leaves", "at least 1"),
        ([[over(2, 1)]], "", "stages.0.leaves: a range is of a column that there is not; there are 2"),
        ([[over(-1, 1)]], "stages.0.leaves.0.0.column", "at least 0"),
        ([[over(1 << 40, 1)]], "stages.0.leaves.0.0.column", "at most 999"),
        ([[over(0)]], "stages.0.leaves.0.0", "above_q32, upto_q32 or both"),
        ([[over(0, 1, 1)]], "stages.0.leaves.0.0", "is not below upto_q32"),
        ([[over(0, 2, 1)]], "stages.0.leaves.0.0", "is not below upto_q32"),
        ([[{"column": 0, "upto_q32": 1 << 63}]], "stages.0.leaves.0.0.upto_q32", "at most"),
        ([[{"column": 0, "upto_q32": 0.5}]], "stages.0.leaves.0.0.upto_q32", "float"),
        ([[over(1, 1), over(0, 1)]], "stages.0", "its columns must ascend, each once"),
        ([[over(0, 1), over(0, 0, 2)]], "stages.0", "its columns must ascend, each once"),
        ([[over(0, 1)], [over(1, 1)], [over(0, 1)]], "stages.0", "two are the same"),
        ([[over(0, 1)] * 9], "stages.0.leaves.0", "at most 8"),
        ([[over(0, float(i))] for i in range(997)], "", "stages.0: 999 outputs and a bias"),
        ([[over(0, float(i))] for i in range(1001)], "stages.0.leaves", "at most 1,000"),
    ],
)
def test_hostile_leaves_are_refused(stages: list[Any], field: str, told: str) -> None:
    if told == "stages.0: 999 outputs and a bias":
        assert spec(*stages).width == 1000
        stages, told = [*stages, [over(1, 0)]], "stages.0: 1000 outputs and a bias"
    with pytest.raises(ManifestError) as caught:
        spec(*stages)
    assert told in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize("kind", ["polynomial", "clip", "leaves"])
def test_leaves_come_first_and_only_lines_follow(kind: str) -> None:
    leaf = [over(0, 1)]
    later = {
        "polynomial": {"kind": "polynomial", "degree": 2},
        "clip": {"kind": "clip", "clip_q32": 1},
        "leaves": {"kind": "leaves", "leaves": [[over(1, 1)]]},
    }[kind]
    four = spec(leaf, [over(1, 0)], after=[STANDARD])
    assert four.width == 5
    with pytest.raises(
        ManifestError, match=r"stages.1: (only 'standard' may follow|must be the first stage)"
    ):
        spec(leaf, [over(1, 0)], after=[later])
    if kind != "leaves":
        target = {"name": "y", "centre_q32": 0, "scale_q32": Q32_ONE, "clip_q32": Q32_ONE}
        stages = [later, {"kind": "leaves", "leaves": [leaf]}]
        with pytest.raises(ManifestError, match=r"stages\.1: must be the first stage"):
            QuadraticSpec.parse({"features": ["a"], "targets": [target], "rows_min": 1, "stages": stages})


def test_leaves_from_anyone() -> None:
    good = {"kind": "leaves", "leaves": [[over(0, -1, 5), over(2, upto=0)], [over(1, 3)], [over(2, 0)]]}
    x = np.array([[0.0, 4.0, -1.0], [9.0, 3.0, 0.0], [-1.0, 1e9, 1.0]])

    def decode(fields: Any) -> None:
        stage = Leaves.parse(fields if isinstance(fields, dict) else {})
        try:
            width = stage.width_after(3, "stages.0")
        except ValueError:
            return
        made = stage.apply(x)
        assert made.shape == (3, width)
        assert set(made[:, 3:].ravel().tolist()) <= {0.0, 1.0}
        assert len(stage.names(("a", "b", "c"))) == width

    assert fuzz(lambda rng: changed_value(rng, good), decode, INPUTS // 2) > INPUTS // 1000


# ---- what they may not single out


def singled_out(cells: tuple[int, ...], least: int) -> bool:
    """Whether a combination of 1 and two leaves is 0 everywhere but in 1 to least - 1 rows, by ranks.

    `cells`: how many rows are in both, in the first alone, in the second alone, in neither.
    """
    each = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0]])
    there = [i for i in range(4) if cells[i]]
    whole = np.linalg.matrix_rank(each[there])
    return any(
        0 < sum(cells[i] for i in chosen) < least
        and np.linalg.matrix_rank(
            each[[i for i in there if i not in chosen]] if len(there) > size else each[:0]
        )
        < whole
        for size in range(1, len(there) + 1)
        for chosen in combinations(there, size)
    )


def test_pairs_and_single_columns_are_all_that_two_leaves_single_out() -> None:
    """Every table of two leaves with up to four rows in each of the four parts, for a limit of three."""
    least = 3
    for cells in product(range(5), repeat=4):
        both, first, second, neither = cells
        rows = sum(cells)
        sizes = [both + first, both + second]
        alone = any(0 < size < least or 0 < rows - size < least for size in sizes) or 0 < rows < least
        counts = np.array([both, *sizes])
        assert fourfold(counts[0], counts[1], counts[2], rows).tolist() == [both, first, second, neither]
        near = bool(too_near(counts[0], counts[1], counts[2], rows, least))
        assert (alone or near) == singled_out(cells, least), cells


def test_a_mine_refuses_leaves_that_differ_in_a_few_rows() -> None:
    """Two thresholds with three rows between them: the difference of two sums is the sum of their targets."""
    x = np.column_stack([np.arange(400.0), np.tile([0.0, 1.0], 200)])
    table = np.column_stack([x, np.sin(x[:, 0])])
    near, far = ([[over(0, upto=100)], [over(0, upto=100.0 + rows)]] for rows in (4, 5))
    phi = spec(*near).transform(x)
    assert np.count_nonzero(phi[:, 2] - phi[:, 3]) == 4
    told = "'age <= 100' and 'age <= 104': together they single out fewer than 5 rows"
    with pytest.raises(ConsentError, match=told):
        prepared(spec(*near), table)
    assert prepared(spec(*far), table) == 400


def test_a_mine_refuses_leaves_of_few_kinds_of_rows() -> None:
    """No two of these leaves single out a few rows; the second and the third less the first do."""
    kinds = np.array([[0, 1, 1], [1, 1, 0], [1, 0, 1], [0, 0, 0]])
    asked = spec(*([over(column, above=0.5)] for column in range(3)), columns=3)
    for few, refused in ((4, True), (5, False)):
        codes = np.repeat(kinds, [few, 60, 60, 60], axis=0)
        x = codes + 0.01 * np.random.default_rng(0).normal(size=codes.shape)
        table = np.column_stack([x, np.sin(np.arange(len(x)))])
        marks = asked.transform(x)[:, 3:6]
        assert (marks == codes).all()
        assert np.count_nonzero(marks @ [-1, 1, 1]) == few
        if refused:
            with pytest.raises(ConsentError, match="only 4 distinct rows for 4 weights"):
                prepared(asked, table)
        else:
            assert prepared(asked, table) == 185


def test_batches_change_nothing_about_pairs() -> None:
    rng = np.random.default_rng(0)
    marks = rng.random((300, 6)) < 0.3
    marks[:, 5] = marks[:, 0]
    marks[:3, 5] = ~marks[:3, 0]
    for sizes in ([300], [1, 299], [100, 100, 100]):
        pairs = Pairs("abcdef", LEAST_OF_EITHER)
        for batch in np.split(marks, np.cumsum(sizes)[:-1]):
            pairs.see(batch)
        assert [name for name, _ in pairs.faults()] == ["columns 'a' and 'f'"]


def prepared(asked: QuadraticSpec, table: Array) -> int:
    from sonar.paillier.slots import Bounds, SlotPlan

    plan = SlotPlan.make(
        key_bits=2048,
        weights=asked.weights,
        outputs=1,
        bounds=Bounds(weight_max=127 << 20, a_row_l1_max=1 << 50, b_max=1 << 50),
        mines_max=3,
        weight_rows=100,
        weight_frac=20,
        data_frac=24,
    )
    return prepare(asked, plan, [table]).rows


# ---- how they are grown


def steps(seed: int, rows: int) -> tuple[Array, Array]:
    """Columns of several kinds, and a target that no line follows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    x[:, 1] = rng.integers(0, 5, rows)
    x[:, 2] = rng.random(rows) < 0.3
    y = 2.0 * ((x[:, 0] > 0.3) & (x[:, 1] > 2)) - 1.5 * (np.abs(x[:, 3]) < 0.6) + 0.5 * x[:, 2]
    return x, y + 0.3 * rng.normal(size=rows)


NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize("seed", range(3))
def test_grown_leaves_are_large_and_apart(seed: int) -> None:
    x, y = steps(seed, 1000)
    wish = grown(LeavesWish(random_state=seed), NAMES, x, y[:, None])
    assert wish.grown is not None
    stage = Leaves(leaves=wish.grown)
    marks = stage.marks(x)
    shares = marks.mean(axis=0)
    assert len(stage.leaves) > 20
    assert (shares >= LEAST_SHARE).all()
    assert (shares <= 1 - LEAST_SHARE).all()
    assert max(map(len, stage.leaves)) == 2
    for one, other in combinations(marks.T, 2):
        cells = tuple(int(np.sum(each)) for each in (one & other, one & ~other, ~one & other, ~(one | other)))
        assert not singled_out(cells, round(APART * 1000))
        assert sum(size < round(APART * 1000) for size in cells) <= 1


def test_honest_mines_with_rows_enough_are_not_refused() -> None:
    for seed in range(6):
        x, y = steps(seed, 5200)
        bounty = Bounty.of(x[:1000], y[:1000], target="y", features=NAMES, name="l", feature_map="leaves")
        spec, plan = bounty.design.spec, bounty.design.plan
        for rows in np.split(np.arange(1000, 5200), 3):
            assert len(rows) >= spec.least_rows
            prepare(spec, plan, [np.column_stack([x[rows], y[rows]])])


def test_leaves_are_as_large_as_small_mines_need_them() -> None:
    """Of 100 rows, 20 at least in each leaf; the least number of rows is published."""
    for seed in range(6):
        x, y = steps(seed, 1300)
        trees = {"kind": "leaves", "trees": 5}
        bounty = Bounty.of(
            x[:1000], y[:1000], target="y", features=NAMES, name="l", feature_map=trees, rows_min=100
        )
        spec, plan = bounty.design.spec, bounty.design.plan
        assert spec.rows_min == 100 >= spec.least_rows
        assert (spec.stages[0].apply(x[:1000])[:, 4:].mean(axis=0) >= 0.2).all()
        for rows in np.split(np.arange(1000, 1300), 3):
            prepare(spec, plan, [np.column_stack([x[rows], y[rows]])])


def test_the_same_rows_and_settings_grow_the_same_leaves() -> None:
    x, y = steps(1, 500)
    one, other = (grown(LeavesWish(), NAMES, x, y[:, None]) for _ in range(2))
    assert one == other
    deep = grown(LeavesWish(depth=3, trees=10), NAMES, x, y[:, None]).grown
    assert deep is not None
    assert max(map(len, deep)) == 3


def test_the_scale_of_columns_and_targets_does_not_matter() -> None:
    x, y = steps(2, 500)
    one = grown(LeavesWish(), NAMES, x, y[:, None]).grown
    other = grown(LeavesWish(), NAMES, x * 1000.0, 7 + 1000 * y[:, None]).grown
    assert one is not None
    assert other is not None
    assert [len(leaf) for leaf in one] == [len(leaf) for leaf in other]
    marks = [Leaves(leaves=leaves).marks(scaled) for leaves, scaled in ((one, x), (other, x * 1000.0))]
    assert (marks[0] == marks[1]).all()


def test_several_targets_share_the_room_of_a_model() -> None:
    x, _ = steps(0, 800)
    y = np.column_stack([(x[:, 0] > edge) * 1.0 + x[:, 3] for edge in np.linspace(-1, 1, 40)])
    found = grown(LeavesWish(trees=400), NAMES, x, y).grown
    assert found is not None
    assert 15 <= len(found) <= 1000 // 40 - 5


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [(9, 4, "has no leaf of 5 of 9 held-out rows"), (500, 4, ""), (30, 999, "no room")],
)
def test_a_holdout_without_leaves_is_told(rows: int, columns: int, told: str) -> None:
    x = np.random.default_rng(0).normal(size=(rows, columns))
    names = [f"c{i}" for i in range(columns)]
    if not told:  # a target that is always the same has trees without branches
        with pytest.raises(DataError, match="has no leaf"):
            grown(LeavesWish(), names, x, np.ones((rows, 1)))
        return
    with pytest.raises(DataError, match=told):
        grown(LeavesWish(), names, x, x[:, :1])


def test_without_scikit_learn_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = steps(0, 200)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError) as caught:
        grown(LeavesWish(), NAMES, x, y[:, None])
    assert "scikit-learn, which is missing" in str(caught.value)
    assert caught.value.hint == "pip install 'sonar-network-scientist[sklearn]'"


# ---- in a bounty


def a_bounty(**settings: Any) -> Bounty:
    x, y = steps(0, 600)
    wanted: dict[str, Any] = {"feature_map": "leaves", "min_mines": 2, **settings}
    return Bounty.of(x, y, target="y", features=NAMES, name="leaves", **wanted)


def test_a_bounty_keeps_its_leaves_and_needs_no_scikit_learn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounty = a_bounty()
    Shelf(tmp_path).keep(bounty)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    again = Shelf(tmp_path).take("leaves")
    assert again == bounty
    assert again.design.spec == bounty.design.spec


def test_a_file_may_ask_for_leaves(tmp_path: Path) -> None:
    x, y = steps(3, 300)
    rows = [",".join([*NAMES, "y"]), *(",".join(map(repr, row)) for row in np.column_stack([x, y]).tolist())]
    (tmp_path / "holdout.csv").write_text("\n".join(rows))
    (tmp_path / "bounty.toml").write_text(
        'name = "leaves"\nmin_mines = 2\nfeature_map = { kind = "leaves", trees = 10, depth = 1 }\n'
        '[holdout]\ncsv = "holdout.csv"\ntarget = "y"\n'
    )
    bounty = Bounty.from_toml(tmp_path / "bounty.toml")
    first = bounty.design.spec.stages[0]
    assert isinstance(first, Leaves)
    assert {len(leaf) for leaf in first.leaves} == {1}
    assert Bounty.from_toml(tmp_path / "bounty.toml") == bounty


def test_explain_says_what_a_leaf_is_and_what_is_published() -> None:
    bounty = a_bounty()
    told, spec = " ".join(explain(bounty).split()), bounty.design.spec
    leaves = spec.names[4:-1]
    assert f"the first of {len(leaves)} is 1 in rows where {leaves[0]}" in told
    assert "the ranges of the leaves, which say where rows of your holdout lie" in told
    assert "of each leaf, five rows in it and five out of it" in told
    assert f"{max(spec.least_rows, 500)} rows at least" in told


def test_a_model_of_leaves_is_saved_and_says_what_each_leaf_adds() -> None:
    bounty = a_bounty()
    design = bounty.design
    weights = np.random.default_rng(0).normal(size=design.spec.weights)
    model = LinearModel.at(design, weights, 0)
    x, _ = steps(9, 200)
    again = LinearModel.from_bytes(model.to_bytes(), "model")
    assert (again.predict(x) == model.predict(x)).all()
    slopes = model.coefficients
    assert list(slopes) == list(design.spec.names)
    phi = design.spec.stages[0].apply(x)
    said = phi @ np.array(list(slopes.values())[:-1]) + slopes["(bias)"]
    assert model.predict(x) == pytest.approx(said, rel=1e-6)
