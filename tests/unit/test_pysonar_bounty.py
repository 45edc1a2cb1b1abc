"""Bounties from code and from files: defaults, bounds that honest shards keep, and errors that help."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from sonar.data import examples
from sonar.errors import ConfigError, DataError, SonarError
from sonar.families.quadratic.design import STRIDE
from sonar.protocol.allowlist import MAX_MINES, root_of
from tests.family_kit import map_of

FILE = """
name = "diabetes"
rounds = 5
cohort = 4
min_mines = 2
key_bits = 2048
reward = "2 ether"
fee = "10 gwei"
[holdout]
example = "diabetes"
rows = 42
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bounty.toml"
    path.write_text(text)
    return path


def test_the_file_and_the_code_make_the_same_bounty(tmp_path: Path) -> None:
    from_file = Bounty.from_toml(written(tmp_path, FILE))
    settings: dict[str, Any] = {"rounds": 5, "cohort": 4, "min_mines": 2, "key_bits": 2048}
    from_code = Bounty.example("diabetes", **settings, reward="2 ether", fee="10 gwei")
    assert from_file.digest == from_code.digest
    assert from_file.terms == from_code.terms
    assert from_file.terms.initial_loss == 1_000_000
    assert from_file.terms.fee_units == 10**10
    pooled_r2 = 1 - 2_505.272 / 5_572.3
    assert from_file.terms.target_loss < 1e6 * (1 - pooled_r2)


def test_a_csv_beside_the_file_and_arrays_make_the_same_bounty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = examples.load("diabetes").slice(0, 42)
    lines = [",".join(table.columns), *(",".join(repr(float(v)) for v in row) for row in table.values)]
    (tmp_path / "holdout.csv").write_text("\n".join(lines))
    text = 'name = "d"\n[holdout]\ncsv = "holdout.csv"\ntarget = "target"\n'
    from_file = Bounty.from_toml(written(tmp_path, text))
    features = [name for name in table.columns if name != "target"]
    from_code = Bounty.of(
        table.matrix(features), table.column("target"), target="target", features=features, name="d"
    )
    columns = {name: table.column(name) for name in table.columns}
    assert from_file.digest == from_code.digest == Bounty.of(columns, target="target", name="d").digest
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "other").mkdir()
    from_home = Bounty.from_toml(written(tmp_path / "other", text.replace("holdout.csv", "~/holdout.csv")))
    assert from_home == from_file


def test_an_update_of_the_example_is_one_ciphertext() -> None:
    plan = Bounty.example("diabetes", key_bits=2048).design.plan
    assert plan.ciphertexts == 1
    assert plan.slot_bits <= 80


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shards", [10, 40])
def test_honest_shards_keep_the_bounds_at_any_scale(scale: float, shards: int) -> None:
    table = examples.load("diabetes")
    features = [name for name in table.columns if name != "target"]
    x, y = table.matrix(features) * scale, table.column("target") * scale
    bounty = Bounty.of(x[:42], y[:42], target="y", features=features, name="scaled")
    spec, plan = bounty.design.spec, bounty.design.plan
    for rows in np.array_split(np.arange(42, 442), shards):
        own = map_of(spec, x[rows], y[rows], plan.data_frac)
        assert own.a_row_l1_max <= plan.bounds.a_row_l1_max
        assert own.b_max <= plan.bounds.b_max
    z = (y[:42] - y[:42].mean()) / y[:42].std()
    pooled = np.linalg.lstsq(bounty.design.holdout.phi, z, rcond=None)[0]
    assert np.abs(pooled).max() < bounty.design.weight_max


def test_bounds_can_be_given() -> None:
    bounty = Bounty.example(
        "diabetes", weight_max=100.0, a_row_l1_max=50.0, b_max=500.0, weight_frac=10, data_frac=12
    )
    bounds = bounty.design.plan.bounds
    assert 100 << 10 <= bounds.weight_max < (100 << 10) + STRIDE
    assert (bounds.a_row_l1_max, bounds.b_max) == (50 << 12, 500 << 12)


def test_logistic_labels_are_checked() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    y = np.sign(x @ [1.0, -2.0, 0.5])
    of: dict[str, Any] = {"target": "ill", "features": ["a", "b", "c"], "name": "l"} | {
        "loss": "logistic-taylor"
    }
    bounty = Bounty.of(x, y, **of)
    assert bounty.initial_loss == 1_000_000
    assert bounty.metric == "log_loss"
    with pytest.raises(DataError, match="has 60 different values in 60 rows; classes are expected"):
        Bounty.of(x, np.arange(60), **of)


@pytest.mark.parametrize(("offset", "spread"), [(0.30, 0.02), (1e8, 1e-3), (0.0, 1e8), (-5e-5, 1e-5)])
def test_the_null_model_is_a_million_whatever_the_targets_unit(offset: float, spread: float) -> None:
    """In thousandths of the unit, targets of 0.30 ± 0.02 were reached by weights of zero."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    y = offset + spread * (x @ [0.8, 0.3] + 0.5 * rng.normal(size=60))
    bounty = Bounty.of(x, y, target="y", features=["a", "b"], name="any", r2=0.5)
    assert bounty.terms.initial_loss == 1_000_000
    assert bounty.terms.target_loss == 500_000
    assert bounty.design.holdout.told(bounty.start_weights)["mse"] == pytest.approx(y.var(), rel=1e-4)


@pytest.mark.parametrize(
    ("said", "loss"),
    [({"r2": 0.53}, 470_000), ({"mse": 0.25 * 5572.2817}, 250_000), ({}, None)],
)
def test_a_target_is_said_in_r2_or_mse_or_is_the_best_that_is_possible(
    said: dict[str, Any], loss: int | None
) -> None:
    bounty = Bounty.example("diabetes", **said)
    assert bounty.metric == (next(iter(said)) if said else "r2")
    if loss is None:
        best = np.linalg.lstsq(bounty.design.holdout.phi, bounty.held_out.y[:, 0], rcond=None)[0]
        left = bounty.held_out.y[:, 0] - bounty.design.holdout.phi @ best
        loss = int(1e6 * np.mean(left**2) / bounty.held_out.y.var())
    assert bounty.target_loss == pytest.approx(loss, abs=1)


def test_targets_of_classes_are_log_loss_or_auc() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    y = np.where(x @ [1.0, -2.0, 0.5] + rng.normal(size=400) + 0.8 > 0, 1.0, -1.0)
    of = {"target": "ill", "features": ["a", "b", "c"], "name": "l", "loss": "logistic-taylor"}
    auc = Bounty.of(x, y, **of, auc=0.8)
    assert (auc.metric, auc.initial_loss, auc.target_loss) == ("auc", 1_000_000, 400_000)
    p = np.mean(y > 0)
    null = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    log_loss = Bounty.of(x, y, **of, log_loss=0.6 * null)
    assert log_loss.metric == "log_loss"
    assert log_loss.target_loss == pytest.approx(600_000, abs=1)


def test_several_targets_are_one_bounty(tmp_path: Path) -> None:
    table = examples.load("diabetes").slice(0, 42)
    names = [name for name in table.columns if name not in ("target", "bmi")]
    x, y = table.matrix(names), table.matrix(["target", "bmi"])
    bounty = Bounty.of(x, y, target=["target", "bmi"], features=names, name="two", r2=0.3)
    assert bounty.targets == ("target", "bmi")
    assert (bounty.design.spec.outputs, bounty.design.spec.weights) == (2, 20)
    columns = {name: table.column(name) for name in table.columns}
    assert Bounty.of(columns, target=["target", "bmi"], name="two", r2=0.3).held_out.y.shape == (42, 2)
    shelf = Shelf(tmp_path)
    shelf.keep(bounty)
    assert shelf.take("two") == bounty
    with pytest.raises(ConfigError, match="mse: has a unit of its own for each of the 2 targets"):
        _ = Bounty.of(x, y, target=["target", "bmi"], features=names, name="two", mse=3.0).terms
    with pytest.raises(DataError, match=r"y: has the shape \[42\]; \[rows, columns\] is expected"):
        Bounty.of(x, y[:, 0], target=["target", "bmi"], features=names, name="two")


def test_explain_tells_cost_time_leaks_and_needs_before_posting() -> None:
    asked: dict[str, Any] = {"reward": "1 ether", "fee": "0.002 ether", "stake": "0.01 ether", "mse": 2620.0}
    bounty = Bounty.example("diabetes", **asked, quiet_s=60, overdue_bps=2500, settler=MINES[0])
    text = explain(bounty, plan=True)
    assert text.startswith("In short\n  you put 1.14 ether into escrow;")
    assert explain(bounty) == text[: text.index("\nSlot plan")]  # that is for who asks
    for told in (
        "the null model: it predicts 145.167, the mean of your held-out rows",
        "R² 0.0000, MSE 5,572.3",
        "a mine that knows no more than that earns nothing",
        "ends at R² 0.5298, MSE 2,620",
        "starts at 1,000,000 and ends at 470,184",
        "stops waiting for others 1 min after the last one",
        "25% of the reward that is unpaid",
        f"the signature of {MINES[0]}; without it",
        "the mean and deviation of each column of your holdout, targets included",
        "escrow 1.14 ether",
        "stakes 0.01 ether",
        "2 min to commit, 2 min to reveal and 1 day to settle",
        "A and b in full",
        "16 bits",
        "you hold the key",
        "addresses, not people",
        "all answers weigh the same",
        "slots of",
    ):
        assert told in " ".join(text.split()), told
    assert max(map(len, text.splitlines())) <= 80  # terminals and notebooks break longer lines within words


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        (("rounds = 5", "ruonds = 5"), "ruonds", "did you mean rounds"),
        (("rows = 42", "row = 42"), "holdout.row", "did you mean holdout.rows"),
        (("rounds = 5", 'rounds = "5"'), "rounds", ""),
        (("rounds = 5", "rounds = 0"), "rounds", ""),
        (("rounds = 5", "rounds = 5.5"), "rounds: must be a whole number (got 5.5)", ""),
        (('reward = "2 ether"', "reward = 2"), "reward: must be a text, in quotes (got 2)", ""),
        (("rows = 42", "rows = 42\nrounds = 3"), "holdout.rounds: does not belong", "above [holdout]"),
        (('example = "diabetes"', 'csv = "none.csv"\ntarget = "y"'), "holdout.rows", "whole"),
        (("rounds = 5", "rounds = true"), "rounds", ""),
        (
            ("rounds = 5", "rate = 0.2"),
            "rate: is no longer a field",
            '{ kind = "gradient-descent", rate = 0.2 }',
        ),
        (("rounds = 5", "target_loss = 1672.6"), "target_loss: is no longer a field", "mse = 1672.6"),
        (("rounds = 5", "degree = 2"), "degree: is no longer a field", '{ kind = "polynomial", degree = 2 }'),
        (("rounds = 5", "clip = 6.0"), "clip: is no longer a field", '{ kind = "standard", clip = 6.0 }'),
        (("rounds = 5", "target_max = 6.0"), "target_max: is no longer a field", "target_clip"),
        (("rounds = 5", 'feature_map = "cubic"'), "feature_map: must be one of standard", "--help"),
        (("rounds = 5", "feature_map = { degree = 2 }"), "feature_map: must be one of", ""),
        (("rounds = 5", 'feature_map = { kind = "polynomial", degree = 9 }'), "feature_map.", ""),
        (
            ("rounds = 5", 'loss = "hinge"'),
            "loss: must be one of squared, logistic-taylor",
            "'logistic-taylor' for classes",
        ),
        (("rounds = 5", "r2 = 1.0"), "r2: 1 is out of reach", ""),
        (("rounds = 5", "r2 = 0.0"), "r2: 0 is no better than the null model", ""),
        (("rounds = 5", "mse = 0.0"), "mse: 0 is out of reach", ""),
        (("rounds = 5", "mse = 6000.0"), "mse: 6000 is no better than the null model", ""),
        (("rounds = 5", "auc = 0.9"), "auc: is not a metric of the loss 'squared'", "r2, mse"),
        (("rounds = 5", "r2 = 0.5\nmse = 3000.0"), "r2: and mse are two targets", "leave mse out"),
        (("rounds = 5", "overdue_bps = 10001"), "overdue_bps: must be at most 10,000 (got 10001)", ""),
        (("rounds = 5", "quiet_s = 500"), "quiet_s: 500 s never ends a round's commits sooner", "84"),
        (("rounds = 5", 'settler = "me"'), "settler", ""),
        (("rounds = 5", 'start = "none.json"'), "start: ", "is the path right?"),
        (("rounds = 5", 'start = "first"'), "start: no file is named 'first'", "no session is open"),
        (("rounds = 5", "start = 3"), "start: is not a name", "model.json"),
        (("rounds = 5", "local_rate = 0.2"), "local_rate: does nothing with", "local_steps"),
        (('name = "diabetes"', 'name = "../etc"'), "name", ""),
        (('name = "diabetes"', ""), "name", ""),
        (("min_mines = 2", "min_mines = 5"), "min_mines", ""),
        (("min_mines = 2", "min_mines = 1"), "min_mines", ""),
        (("key_bits = 2048", "key_bits = 1024"), "key_bits", "insecure_key"),
        (('reward = "2 ether"', 'reward = "2 dollars"'), "reward", "units"),
        (("rounds = 5", "rounds = 5\ncommit_window_s = 15"), "commit_window_s", "22"),
        (("[holdout]", "[holdout]\ncsv = 'a.csv'"), "holdout", "csv"),
        (('example = "diabetes"\nrows = 42', 'csv = "none.csv"\ntarget = "y"'), "holdout.csv", ""),
        (("rows = 42", "rows = 443"), "holdout.rows", ""),
        (("rounds = 5", "rounds = 5\nfeatures = ['age']"), "features", "below [holdout]"),
        (("[holdout]", "[houldout]"), "houldout: there is no such table", "[holdout]"),
        (
            ('name = "diabetes"', '[bounty]\nname = "diabetes"'),
            "bounty: there is no such table",
            "above [holdout]",
        ),
        (("rows = 42", "rows = 42\ntarget = 'nix'"), "column 'nix'", ""),
        (('"diabetes"\nrows', '"nix"\nrows'), "example", ""),
        (('name = "diabetes"', 'name = "my bounty"'), "name: must be 1 to 64 letters", ""),
        (("rows = 42", "rows = 42\nfeatures = ['age', 'age']"), "column 'age': is named twice", "once"),
        (
            ("rows = 42", "rows = 42\nfeatures = ['age', 'target']"),
            "column 'target': is a feature and a target",
            "once",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, change: tuple[str, str], field: str, hint: str
) -> None:
    assert change[0] in FILE
    with pytest.raises(SonarError) as caught:
        _ = Bounty.from_toml(written(tmp_path, FILE.replace(*change))).terms
    assert field in str(caught.value)
    assert hint in caught.value.hint


def test_a_text_column_says_how_to_leave_it_out(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("id,x,y\n" + "".join(f"row{i},{i},{i}\n" for i in range(30)))
    path = written(tmp_path, 'name = "t"\n[holdout]\ncsv = "h.csv"\ntarget = "y"\n')
    with pytest.raises(DataError) as caught:
        Bounty.from_toml(path)
    assert "features = [...] in [holdout]" in caught.value.hint
    plain = path.read_text()
    path.write_text(plain + 'features = ["x"]\n')
    assert Bounty.from_toml(path).features == ("x",)
    path.write_text(plain)
    (tmp_path / "h.csv").write_text("id;x;y\n1;2;3\n")
    with pytest.raises(DataError, match="semicolons") as caught:
        Bounty.from_toml(path)
    assert "save the file with commas" in caught.value.hint
    assert "features" not in caught.value.hint  # no choice of columns helps there


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, FILE)
    plain = Bounty.from_toml(path).digest
    path.write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    assert Bounty.from_toml(path).digest == plain


def test_a_file_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        Bounty.from_toml(written(tmp_path, "= 3"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Bounty.from_toml(tmp_path / "none.toml")


_X = [[float(i), float(i % 3)] for i in range(12)]
_Y = [float(i) for i in range(12)]


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (_X, _Y[:2], "column 'y': has 2 rows, and column 'a' has 12"),
        (
            [*_X[:11], [1.0, float("nan")]],
            _Y,
            "column 'b': row 12 is missing; a number is expected",
        ),
        (
            _X,
            [_Y[0], *[float("inf")] * 2, *_Y[3:]],
            "column 'y': row 2 is infinite; .* of 12 rows, 2 have no finite number",
        ),
        ([["a", 2.0]] * 12, _Y, "x: row 1, column 1 is the text 'a'"),
        ([[1.0]] * 12, _Y, r"x: has 1 columns .*, and 2 are named: 'a', 'b'"),
        ({"a": [1.0, 2.0], "b": [1.0]}, [1.0, 2.0], "column 'b': has 1 rows, and column 'a' has 2"),
        ({"a": _Y}, _Y, "column 'b': is missing; there are: 'a'"),
        ([[one, 0.1] for one, _ in _X], _Y, "column 'b': is constant"),
        ([[one, 1e-12 * two] for one, two in _X], _Y, "column 'b': varies by 8.*e-13; less than"),
        (_X[:9], _Y[:9], "has 9 rows; at least 10"),
        ([[one, 10**400] for one, _ in _X], _Y, "x: row 1, column 2 is beyond"),
        (_X, [1e-12 * y for y in _Y], "column 'y': varies by 3.45e-12; less than"),
        (_X, [-1.0] * 12, "column 'y': is -1 in every held-out row"),
        (_Y, _Y, r"x: has the shape \[12\]; \[rows, columns\] is expected"),
        (_X, [1e10 * y for y in _Y], "column 'y': has a mean or a spread of 5.5e\\+10; at most"),
    ],
)
def test_holdouts_that_cannot_be_used(x: Any, y: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Bounty.of(x, y, target="y", features=["a", "b"], name="bad")


def test_an_error_says_what_to_do_about_the_data_frame() -> None:
    """Instead of what happens to be wrong first once letters are taken for names, or rows for columns."""

    class Series(list[float]):
        """As pandas': it has keys, its index, and is one column."""

        def keys(self) -> range:
            return range(len(self))

    for x, features, hint in (
        ({"sex": ["m"] * 12, "y": _Y}, None, "leave it out"),
        ({"age": _Y, "y": _Y}, "age", r"give a list: \['age'\]"),
        (Series(_Y), ["age"], r"df\[\[name\]\]"),
        ({"age": [float("nan"), *_Y[1:]], "y": _Y}, None, "drop such rows"),
    ):
        with pytest.raises(DataError) as told:
            Bounty.of(x, _Y if isinstance(x, Series) else None, target="y", features=features, name="d")
        assert re.search(hint, told.value.hint), told.value
    with pytest.raises(ConfigError) as wrong:
        Bounty.of(_X, _Y, target="y", features=["a", "b"], name="d", reward=5)
    assert wrong.value.hint == 'give amount and unit in quotes: reward = "1 ether"'


def test_numbers_that_numpy_counted_are_numbers() -> None:
    assert Bounty.example(rounds=np.int64(3)) == Bounty.example(rounds=3)


def test_an_example_can_have_another_name() -> None:
    """A changed bounty needs one."""
    bounty = Bounty.example("diabetes", name="second", rows=50)
    assert (bounty.settings.name, bounty.held_out.rows) == ("second", 50)
    assert Bounty.example().settings.name == "diabetes"
    with pytest.raises(ConfigError, match=r"holdout\.rows"):
        Bounty.example(rows=0)


@pytest.mark.parametrize("name", ["a" * 65, "", "a\x1b[31m", "a\ud800"])
def test_a_column_that_no_manifest_can_name_is_told_as_such(name: str) -> None:
    with pytest.raises(DataError, match="cannot be published") as caught:
        Bounty.of(_X, _Y, target="y", features=["a", name], name="d")
    assert "rename it" in caught.value.hint


def test_more_columns_than_a_model_has_weights_are_told() -> None:
    wide = np.random.default_rng(0).normal(size=(12, 1000))
    with pytest.raises(DataError, match="1000 columns and a bias; a model has at most 1000"):
        Bounty.of(wide, _Y, target="y", features=[f"c{i}" for i in range(1000)], name="d")


def test_columns_that_are_not_asked_for_may_hold_anything() -> None:
    """As in a CSV: the table of a DataFrame often has a column of names."""
    table = {"id": ["p1"] * 12, "a": [x[0] for x in _X], "b": [x[1] for x in _X], "y": _Y}
    bounty = Bounty.of(table, target="y", features=["b", "a"], name="d")
    assert bounty.features == ("b", "a")
    assert "id" not in bounty.held_out.columns
    with pytest.raises(DataError, match="column 'id': row 1 is the text 'p1'; a number is expected"):
        Bounty.of(table, target="y", name="d")
    with pytest.raises(DataError, match="column 'c': is missing; there are: 'id', 'a', 'b', 'y'"):
        Bounty.of(table, target="y", features=["c"], name="d")
    with pytest.raises(DataError, match=r"column 'y': has the shape \[12, 1\]") as caught:
        Bounty.of(table, np.array(_Y)[:, None], target="y", features=["a"], name="d")
    assert "squeeze" in caught.value.hint


def test_a_bounty_is_shown_without_its_rows_and_compared_by_them() -> None:
    bounty = Bounty.example("diabetes")
    assert repr(bounty) == "<Bounty 'diabetes': 'target' from 10 columns, 42 held-out rows>"
    assert bounty == Bounty.example("diabetes")
    assert bounty not in [Bounty.example("diabetes", rounds=3), Bounty.example("diabetes", rows=43), None]
    assert len({bounty, Bounty.example("diabetes")}) == 1


def test_one_mine_alone_is_refused() -> None:
    for others in ({}, {"min_mines": 2}):
        with pytest.raises(ConfigError, match=r"^cohort: must be at least 2 \(got 1\)") as caught:
            Bounty.example("diabetes", cohort=1, **others)
        assert caught.value.hint == "leave it out for 10, the default"
    with pytest.raises(ConfigError, match="min_mines: 3 is more than cohort = 2") as caught:
        Bounty.example("diabetes", cohort=2)
    assert "sum of one update" in caught.value.hint


def test_a_wrong_value_is_shown_as_toml_writes_it(tmp_path: Path) -> None:
    for line, told in {
        "rounds = true": r"rounds: must be a whole number \(got true\)",
        "cohort = 2026-01-02": r"cohort: must be a whole number \(got 2026-01-02\)",
        "stake = [true]": r"stake: .*\(got \[true\]\)",
    }.items():
        (tmp_path / "b.toml").write_text(f'name = "b"\n{line}\n[holdout]\nexample = "diabetes"\n')
        with pytest.raises(ConfigError, match=told):
            Bounty.from_toml(tmp_path / "b.toml")


def test_a_kept_bounty_is_the_same_bounty(tmp_path: Path) -> None:
    shelf, bounty = Shelf(tmp_path), Bounty.example("diabetes", rounds=3)
    shelf.keep(bounty)
    assert shelf.names() == ["diabetes"]
    assert shelf.take("diabetes").digest == bounty.digest
    assert (tmp_path / "bounties" / "diabetes" / "holdout.npy").stat().st_mode & 0o777 == 0o600
    rows = tmp_path / "bounties" / "diabetes" / "holdout.npy"
    good = rows.read_bytes()
    cut, narrow, huge = (
        good[:90],
        good.replace(b"(42, 11)", b"(77, 6) "),
        good.replace(b"42,", b"9" * 15 + b","),
    )
    for damaged in (b"nonsense", b"", b"PK\3\4", cut, narrow, huge):
        rows.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is damaged"):
            shelf.take("diabetes")
    with pytest.raises(ConfigError, match="damaged") as caught:
        shelf.take("other")
    assert "pysonar run bounty.toml" in caught.value.hint


def test_a_bounty_that_version_1_kept_is_refused_with_what_to_do(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keep(Bounty.example("diabetes"))
    path = tmp_path / "bounties" / "diabetes" / "bounty.json"
    kept = json.loads(path.read_text())
    del kept["v"]
    path.write_text(json.dumps(kept | {"target": "target", "columns": kept["features"]}))
    with pytest.raises(ConfigError, match="has version 1, from an older Sonar") as told:
        shelf.take("diabetes")
    assert "finish it with the version of Sonar that began it" in told.value.hint


def test_a_quiet_end_leaves_time_for_twice_the_training() -> None:
    x = np.random.default_rng(0).normal(size=(30, 43))
    names = [f"c{i}" for i in range(43)]
    wanted: dict[str, Any] = {"feature_map": "polynomial", "commit_window_s": 900}
    with pytest.raises(ConfigError, match=r"quiet_s: 40 s is too short for updates that take about \d+ s"):
        Bounty.of(x, 5 + x[:, 0], target="y", features=names, name="w", **wanted, quiet_s=40)
    slow = Bounty.of(x, 5 + x[:, 0], target="y", features=names, name="w", **wanted, quiet_s=400)
    assert slow.terms.quiet_s >= 2 * slow.offer.train_s > 40


def test_settings_may_be_numpys_numbers_and_lists_of_any_kind() -> None:
    plain = {"rounds": 3, "r2": 0.5, "min_mines": 2, "allow": list(MINES)}
    numpys = {"rounds": np.int64(3), "r2": np.float32(0.5), "min_mines": np.uint8(2), "allow": tuple(MINES)}
    one, other = (
        Bounty.of(_X, _Y, target="y", features=["a", "b"], name="d", **given) for given in (plain, numpys)
    )
    assert one.digest == other.digest


def test_names_of_any_kind_of_string_are_kept_as_they_are(tmp_path: Path) -> None:
    """A campaign goes on with a kept bounty only if it has the digest of the one that was posted."""
    shelf, names = Shelf(tmp_path), np.array(["a", "b"])
    bounty = Bounty.of(_X, _Y, target=np.str_("y"), features=names, name="d")  # type: ignore[arg-type]
    plain = Bounty.of(_X, _Y, target="y", features=["a", "b"], name="d")
    shelf.keep(bounty)
    assert shelf.take("d").digest == bounty.digest == plain.digest
    numbered = Bounty.of(_X, _Y, target="y", features=range(2), name="d")  # type: ignore[arg-type]
    assert numbered.features == ("0", "1")


TOKEN = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
IN_TOKEN = f"""
name = "diabetes"
min_mines = 2
asset = "{TOKEN}"
asset_symbol = "USDC"
asset_decimals = 6
stake = "5 USDC"
fee = "100 units"
reward = "500 USDC"
"""
HOLDOUT = '[holdout]\nexample = "diabetes"\n'
MINES = ["0x52908400098527886E0F7030069857D2E4169EE7", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]


def test_amounts_in_a_token_and_mines_by_name(tmp_path: Path) -> None:
    (tmp_path / "mines.txt").write_text(f"# ours\n{MINES[1]}  # the second\n\n{MINES[0].lower()}\n")
    bounty = Bounty.from_toml(written(tmp_path, IN_TOKEN + 'allow_file = "mines.txt"\n' + HOLDOUT))
    terms = bounty.terms
    assert (terms.asset, terms.stake_units, terms.fee_units, terms.reward_units) == (
        TOKEN,
        5 * 10**6,
        100,
        5 * 10**8,
    )
    assert bounty.allowed == tuple(MINES)
    assert terms.allow_root == root_of(bounty.allowed)
    text = explain(bounty)
    assert f"escrow 500.007 USDC {TOKEN[:6]}…{TOKEN[-4:]}" in text
    assert TOKEN in text
    assert "open to 2 mines by name" in text
    shelf = Shelf(tmp_path)
    shelf.keep(bounty)
    assert shelf.take("diabetes").digest == bounty.digest
    in_line = Bounty.from_toml(written(tmp_path, IN_TOKEN + f"allow = {MINES}\n" + HOLDOUT))
    assert in_line.terms == terms


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        (f'name = "d"\nasset = "{TOKEN}"\n', "stake", 'stake = "5 units"'),
        (IN_TOKEN.replace('fee = "100 units"\n', ""), "fee", 'fee = "5 USDC"'),
        (IN_TOKEN.replace("500 USDC", "1 ether"), "reward", "USDC"),
        (IN_TOKEN.replace(TOKEN, "0x12"), "asset", ""),
        (IN_TOKEN.replace(TOKEN, "0x" + "0" * 40), "asset", "leave asset out"),
        (IN_TOKEN.replace("asset_decimals = 6\n", ""), "asset_decimals", "both"),
        (IN_TOKEN.replace('asset_symbol = "USDC"', 'asset_symbol = "ether"'), "asset_symbol", "short name"),
        ('name = "d"\nasset_decimals = 6\n', "asset", "address"),
        ('name = "d"\nallow = []\n', "allow", "1 to 10000"),
        (f'name = "d"\nallow = ["{MINES[0]}", "{MINES[0]}"]\n', "allow", "once"),
        ('name = "d"\nallow = ["me"]\n', "allow", ""),
        (f'name = "d"\nallow = {MINES}\n', "allow", "lower min_mines"),
        (f'name = "d"\nreward = "{2**96} wei"\n', "reward", "lower reward, fee, stake, cohort"),
        ('name = "d"\nstake = "2_000_000_000 ether"\n', "reward", "lower reward, fee, stake"),
        (IN_TOKEN.replace("= 6", "= 18").replace("500 USDC", "90_000_000_000 USDC"), "reward", "lower"),
        ('name = "d"\nallow_file = "none.txt"\n', "allow_file", ""),
        (f'name = "d"\nallow_file = "x"\nallow = ["{MINES[0]}"]\n', "allow_file", "leave allow out"),
    ],
)
def test_a_wrong_asset_amount_or_list_is_told_by_its_field(
    tmp_path: Path, text: str, field: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Bounty.from_toml(written(tmp_path, text + HOLDOUT))
    assert caught.value.field == field
    assert hint in caught.value.hint


def test_the_longest_list_is_kept_and_taken_again(tmp_path: Path) -> None:
    allow = [f"0x{number + 1:040x}" for number in range(MAX_MINES)]
    bounty = Bounty.example("diabetes", allow=allow)
    shelf = Shelf(tmp_path)
    shelf.keep(bounty)
    assert shelf.take("diabetes").allowed == bounty.allowed
    assert len(bounty.allowed) == MAX_MINES
