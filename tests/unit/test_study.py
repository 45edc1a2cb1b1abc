"""A study before it is posted: what its file may hold, and each mistake by its field and its limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pysonar
from pysonar.bounty.explain import explain
from pysonar.bounty.shelf import Shelf
from pysonar.bounty.study import Study, is_study
from pysonar.cli import main
from sonar.data.schema import NumberColumn
from sonar.errors import ConfigError, ConsentError
from sonar.families.sums.course import Visited
from sonar.families.sums.family import Sums
from tests.study_kit import Broken, Thrice, register

COLUMNS: dict[str, Any] = {
    "age": {"low": 0, "high": 120, "unit": "years"},
    "sex": {"levels": ["f", "m"], "missing": True},
}
ASKED: dict[str, Any] = {"kind": "means"}


@pytest.fixture(autouse=True)
def _registered() -> None:
    register()


def study(statistic: Any = ASKED, columns: Any = COLUMNS, **settings: Any) -> Study:
    return Study.of(statistic, columns=columns, **({"name": "heights", "key_bits": 2048} | settings))


@pytest.mark.parametrize(
    ("changes", "field", "problem", "hint"),
    [
        ({"reward": "1 ether"}, "reward", "fees alone", "larger fee"),
        ({"rows_min": 5}, "rows_min", "at least 10", ""),
        ({"rows_min": 500, "rows_max": 100}, "rows_min", "500 is more than rows_max = 100", "raise rows_max"),
        ({"rounds": 0}, "rounds", "at least 1", ""),
        ({"rounds": 255}, "rounds", "at most 254", ""),
        ({"cohort": 2, "min_mines": 3}, "min_mines", "3 is more than cohort = 2", ""),
        ({"min_mines": 1}, "min_mines", "at least 2", ""),
        ({"key_bits": 1024}, "key_bits", "1024 bits protect nothing", "insecure_key"),
        ({"fee": 5}, "fee", "must be a text", "amount and unit in quotes"),
        ({"stake": "1 euro"}, "stake", "", ""),
        ({"holdout": {"csv": "x.csv"}}, "holdout", "no such field", ""),
        ({"commit_window_s": 11}, "commit_window_s", "11 s is too short for 10 mines", "40"),
        ({"capsules": {"audit": True}}, "capsules.audit", "", "leave it out"),
        ({"name": "a b"}, "name", "1 to 64 letters", ""),
        ({"chort": 3}, "chort", "no such field", "did you mean cohort?"),
        ({"asset": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"}, "stake", "missing", "unit"),
    ],
)
def test_a_wrong_setting_is_named_with_its_limit(
    changes: dict[str, Any], field: str, problem: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as told:
        study(**changes)
    assert told.value.field == field
    assert problem in told.value.problem
    assert told.value.hint
    assert hint in told.value.hint


@pytest.mark.parametrize(
    ("columns", "field", "problem"),
    [
        ({}, "columns", "no column is declared"),
        ({"age": 5}, "columns.age", "is not a table"),
        ([1, 2], "columns", "no list of columns"),
        ({"age": NumberColumn(name="b", low_q32=0, high_q32=1)}, "columns.age", "a column named 'b'"),
        ({f"c{i}": {"low": 0, "high": 1} for i in range(100)}, "statistic.columns", "sums; at most 4096"),
        ({"age": {"low": 0}}, "columns.age.high", "is missing"),
        ({"age": {"low": 5, "high": 5}}, "columns.age.low", "5 is not below high = 5"),
        ({"age": {"low": 0, "high": 1e12}}, "columns.age.high", "cannot be published"),
        ({"age": {"low": float("nan"), "high": 1.0}}, "columns.age.low", ""),
        ({"age": {"low": 0, "high": 1, "levels": ["a", "b"]}}, "columns.age.low", "numbers or categories"),
        ({"age": {"low": 0, "high": 1, "unti": "y"}}, "columns.age.unti", "no such field"),
        ({"sex": {"levels": ["f"]}}, "columns.sex.levels", "at least 2"),
        ({"sex": {"levels": ["f", "m", "f"]}}, "columns.sex.levels", "'f' is there twice"),
        ({"sex": {"levels": ["f", " m"]}}, "columns.sex.levels.1", "blanks"),
        ({"sex": {"levels": "fm"}}, "columns.sex.levels", "must be a list"),
        ({"x" * 65: {"low": 0, "high": 1}}, f"columns.{'x' * 64}", "at most 64"),
    ],
)
def test_a_wrong_column_is_named(columns: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        study(columns=columns)
    assert told.value.field.startswith(field)
    assert problem in told.value.problem
    assert "value of type" not in str(told.value)
    assert told.value.hint != "correct it"
    assert told.value.hint


@pytest.mark.parametrize(
    ("statistic", "field", "problem", "hint"),
    [
        (None, "statistic", "is missing", 'kind = "describe"'),
        ("means", "statistic", "is not a table", ""),
        ({}, "statistic.kind", "is missing", "means"),
        ({"kind": "meens"}, "statistic.kind", "there is no statistic 'meens'", "did you mean means?"),
        ({"kind": "means", "by": "sex"}, "statistic.by", "no such field", ""),
        ({"kind": 3}, "statistic.kind", "there is no statistic '3'", "means"),
    ],
)
def test_a_wrong_statistic_is_named(statistic: Any, field: str, problem: str, hint: str) -> None:
    with pytest.raises(ConfigError) as told:
        study(statistic=statistic)
    assert told.value.field == field
    assert problem in told.value.problem
    assert hint in told.value.hint


def test_a_file_is_the_same_study_as_code(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "heights"\nkey_bits = 2048\n[statistic]\nkind = "means"\n'
        '[columns.age]\nlow = 0\nhigh = 120\nunit = "years"\n'
        '[columns.sex]\nlevels = ["f", "m"]\nmissing = true\n'
    )
    assert is_study(path)
    read = Study.from_toml(path)
    assert read == study()
    assert hash(read) == hash(study())
    assert repr(read) == "<Study 'heights': means of 'age', 'sex'>"
    assert read != study(fee="0.003 ether")
    assert read != study(columns=COLUMNS | {"age": {"low": 0, "high": 121}})
    assert read != study(statistic=Thrice())


def test_terms_offer_fees_alone_and_spare_rounds() -> None:
    one, three = study(), study(statistic=Thrice())
    assert (one.terms.rounds, three.terms.rounds) == (3, 5)
    assert one.terms.reward_units == 0
    assert (one.terms.initial_loss, one.terms.target_loss) == (1_000_000, 0)
    assert one.terms.escrow_units == 10 * 3 * 2 * 10**15
    assert study(rounds=1).terms.rounds == 1
    assert study(rounds=20).terms.rounds == 20
    with pytest.raises(ConfigError, match="rounds: is 9, and mines answer a question whose"):
        study(statistic=Thrice(), rounds=9)
    assert one.on(dev=True).terms.settle_window_s < one.terms.settle_window_s


def test_what_is_kept_is_the_same_study_and_damage_is_told(tmp_path: Path) -> None:
    shelf, asked = Shelf(tmp_path), study(statistic=Thrice())
    shelf.keep(asked)
    assert shelf.take("heights") == asked
    file = tmp_path / "bounties" / "heights" / "study.json"
    kept = json.loads(file.read_bytes())
    file.write_text(json.dumps(kept | {"statistic": {"kind": "gone"}}))
    with pytest.raises(ConfigError, match="is damaged"):
        shelf.take("heights")
    file.write_text(json.dumps(kept | {"v": 3}))
    with pytest.raises(ConfigError, match="newer Sonar"):
        shelf.take("heights")


def test_explain_says_fees_only_and_names_every_column() -> None:
    text = explain(study(statistic=Thrice()))
    for said in ("fees only", "'age'", "120 years", "'sex'", "f, m", "the same mines should answer"):
        assert said in " ".join(text.split()), said
    assert "reward 0" not in text
    assert "holdout" not in text


def test_explain_as_json_has_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "study.toml"
    path.write_text('name = "h"\n[statistic]\nkind = "means"\n[columns.age]\nlow = 0\nhigh = 1\n')
    assert main(["explain", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["features"], told["metric"], told["plan"]["weights"]) == (["age"], "", 10)


def test_parameters_that_cannot_be_published_end_the_study() -> None:
    """As of a step that diverges: the bounty must end, and its result then says why."""

    class Away(Thrice):
        def step(self, spec: Any, seen: Any) -> Any:
            return [float("inf")] if self.name_of == "inf" else [1e300]

        name_of: str = "inf"

    for name in ("inf", "far"):
        asked = study(statistic=Away(name_of=name))
        visited = Visited((0,), tuple([30 << asked.design.plan.data_frac] * asked.spec.values), 3)
        assert asked.design.follow([visited]) is None


def test_a_step_that_fails_ends_the_study() -> None:
    asked = study(statistic=Broken())
    visited = Visited((), tuple([30 << asked.design.plan.data_frac] * asked.spec.values), 3)
    assert asked.design.follow([visited]) is None


def test_a_study_is_taken_where_bounties_are() -> None:
    assert pysonar.Study is Study
    with pytest.raises(ConfigError, match="bounty: must be of type Bounty or Study"):
        explain(3)  # type: ignore[arg-type]


def test_mines_refuse_to_be_asked_more_often_than_their_rows_hide() -> None:
    once, often = study().spec, study(statistic=Thrice()).spec
    Sums().check_asked(once, 254)
    Sums().check_asked(often, 8)
    with pytest.raises(ConsentError, match=r"terms\.rounds: is 9"):
        Sums().check_asked(often, 9)
