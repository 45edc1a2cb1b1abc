"""The table [capsules] of a study: what it may hold, and what people are told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pysonar.bounty.covered import CAPSULE, WHO, learned
from pysonar.bounty.explain import explain
from pysonar.bounty.kinds.fields import MOST_BITS
from pysonar.bounty.shelf import Shelf
from pysonar.bounty.study import Study
from pysonar.keys.ledger import Revealed
from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.totals import plan_of
from sonar.veil.classes import Classes
from sonar.veil.words import check_plan, spoiler_bits
from tests.study_kit import Means

A, B = ("0x" + digit * 40 for digit in "12")
COLUMNS = {"height": {"low": 50, "high": 250}}


def study(**capsules: Any) -> Study:
    return Study.of(Means(), columns=COLUMNS, name="heights", capsules=capsules)


@pytest.mark.parametrize(
    ("capsules", "field", "hint"),
    [
        ({"threshold": 0}, "capsules.threshold", ""),
        ({"members": [A, B], "threshold": 3}, "capsules.threshold", "threshold = 2"),
        ({"members": [A, A]}, "capsules.members", "once"),
        ({"audit": True}, "capsules.audit", "leave it out"),
        ({"audit": "yes"}, "capsules.audit", "leave it out: of a statistic there is nothing to recompute"),
        ({"bits": MOST_BITS - 1}, "capsules.bits", f"give {MOST_BITS} or more"),
        ({"bits": 5000}, "capsules.bits", ""),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(capsules: dict[str, Any], field: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        study(**capsules)
    assert caught.value.field == field
    assert hint in caught.value.hint


def test_nobody_audits_and_few_bits_are_told() -> None:
    asked = study().settings.capsules
    assert asked is not None
    assert (asked.threshold, asked.audited, asked.bits) == (2, False, MOST_BITS)


@pytest.mark.parametrize("mines", [2, 10, 255])
@pytest.mark.parametrize("rows", [10, 1000, 1 << 20, (1 << 32) - 1])
def test_the_bits_suffice_for_every_plan_and_all_members(mines: int, rows: int) -> None:
    spec = SumsSpec(
        columns=(NumberColumn(name="x", low_q32=to_q32(-1), high_q32=to_q32(1)),),
        terms=(Outside(name="o", columns=("x",)),),
        rows_min=10,
        rows_max=rows,
    )
    plan = plan_of(spec, 3072, mines)
    for members in range(1, 8):
        for threshold in range(1, members + 1):
            classes = Classes(members, threshold).count
            check_plan(plan, classes)
            assert 1 + spoiler_bits(plan, classes) <= MOST_BITS


def test_what_is_told_of_it_in_words() -> None:
    told = " ".join(explain(study()).split())
    assert "no software of yours can open a mine's sums, unless 2 capsules help it" in told
    assert f"each tells at most {MOST_BITS} bits of an answer" in told
    assert "to tell whose doing it is" in told
    assert "the same data under several addresses count as several mines" in told
    assert "count as one" not in told
    assert "scores" not in told.split("in plain words:")[1].split("min_mines")[0]


def test_each_party_has_its_column_in_what_was_learned() -> None:
    known = learned(study(), 1, {A: Revealed(told_bits=19)})
    assert all(set(by_party) == {*WHO, CAPSULE} for by_party in known.values())
    assert set(known["the question"].values()) == {"all"}
    ours = known["sums over one mine's data"]
    assert (ours["you, with this program"], ours["you, with other software"]) == ("19 bits", "19 bits")
    assert (ours[CAPSULE], known["sums over all mines' data"][CAPSULE]) == ("no", "no")


def test_a_file_of_a_study_names_its_capsules_and_the_shelf_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "heights"\n[statistic]\nkind = "describe"\n'
        f'[columns.height]\nlow = 50\nhigh = 250\n[capsules]\nthreshold = 1\nmembers = ["{A}"]\n'
    )
    asked = Study.from_toml(file)
    capsules = asked.settings.capsules
    assert capsules is not None
    assert (capsules.accounts, capsules.threshold, capsules.audited, capsules.bits) == (
        (A,),
        1,
        False,
        MOST_BITS,
    )
    Shelf(tmp_path).keep(asked)
    again = Shelf(tmp_path).take("heights")
    assert again == asked
    assert again.settings.capsules == capsules
