"""The table [capsules] of a bounty: what it may hold, what it changes, and what people are told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pysonar.bounty.covered import CAPSULE, WHO, learned
from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.keys.ledger import Revealed
from sonar.errors import ConfigError
from sonar.families.quadratic.veiled.judging import MOST_BITS
from sonar.paillier.slots import VEIL_FREE_BITS

A, B, C = ("0x" + digit * 40 for digit in "123")


def with_capsules(**capsules: Any) -> Bounty:
    return Bounty.example(capsules=capsules)


@pytest.mark.parametrize(
    ("capsules", "field", "hint"),
    [
        ({"threshold": 0}, "capsules.threshold", ""),
        ({"threshold": 8}, "capsules.threshold", ""),
        ({"bits": 0}, "capsules.bits", ""),
        ({"bits": 5000}, "capsules.bits", ""),
        ({"members": []}, "capsules.members", ""),
        ({"members": ["nobody"]}, "capsules.members", ""),
        ({"members": [A, A]}, "capsules.members", "once"),
        ({"members": [1]}, "capsules.members.0", "in quotes"),
        ({"members": [A, B], "threshold": 3}, "capsules.threshold", "threshold = 2"),
        ({"rounds": 3}, "capsules.rounds", "above [holdout]"),
        ({"csv": "rows.csv"}, "capsules.csv", "below [holdout]"),
        ({"audit": "yes"}, "capsules.audit", "leave it out for true"),
        ({"bits": "256"}, "capsules.bits", "leave it out for 288"),
        ({"bits": MOST_BITS - 1}, "capsules.bits", f"give {MOST_BITS} or more"),
        ({"threshold": 1, "audit": True}, "capsules.audit", "threshold = 2"),
        ({"treshold": 2}, "capsules.treshold", "threshold"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(capsules: dict[str, Any], field: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_capsules(**capsules)
    assert caught.value.field == field
    assert hint in caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize("given", [True, 2, "yes", [A]])
def test_what_is_no_table_is_told_what_one_looks_like(given: object) -> None:
    with pytest.raises(ConfigError, match="must be a table") as caught:
        Bounty.example(capsules=given)
    assert "capsules={}" in caught.value.hint


def test_numbers_of_numpy_are_numbers_in_the_table_too() -> None:
    settings = with_capsules(threshold=np.int64(3)).settings
    assert settings.capsules is not None
    assert settings.capsules.threshold == 3


def test_an_audited_bounty_has_no_settler_of_its_own() -> None:
    with pytest.raises(ConfigError, match="committee"):
        Bounty.example(capsules={}, settler=A)
    assert Bounty.example(capsules={"audit": False}, settler=A).offer.terms.settler.lower() == A


def test_behind_capsules_all_answers_weigh_alike() -> None:
    least = Bounty.example().design.spec.rows_min
    for weight_rows in (least, 7):
        assert Bounty.example(capsules={}, weight_rows=weight_rows).design.plan.weight_rows == weight_rows
    with pytest.raises(ConfigError, match="weight_rows") as caught:
        Bounty.example(capsules={}, weight_rows=least + 1)
    assert f"give {least} at most" in caught.value.hint
    Bounty.example(weight_rows=least + 1)


def test_bits_stay_free_for_masks_and_nothing_else_changes() -> None:
    plain, covered = Bounty.example(), with_capsules()
    assert plain.design.plan.free_bits == 0
    assert covered.design.plan == replace(plain.design.plan, free_bits=VEIL_FREE_BITS)
    assert covered.terms == plain.terms
    assert covered.initial_loss == plain.initial_loss


def test_a_bounty_without_capsules_is_the_same_as_before_there_were_any() -> None:
    bounty = Bounty.example()
    assert bounty.settings.capsules is None
    assert "capsules" not in bounty.settings.model_dump_json(exclude={"capsules"})
    assert bounty.digest != with_capsules().digest
    assert with_capsules().digest != with_capsules(threshold=3).digest


def test_members_ascend_however_they_are_named() -> None:
    settings = with_capsules(members=[C, A, B]).settings
    assert settings.capsules is not None
    assert list(settings.capsules.accounts) == [A, B, C]


def test_explain_says_who_could_read_an_answer() -> None:
    plain = " ".join(explain(Bounty.example()).split())
    assert "software other than this could open each mine's A and b" in plain
    audited = " ".join(explain(with_capsules()).split())
    assert "unless 2 capsules help it" in audited
    assert "at most 288 bits of an answer" in audited
    assert "2 capsules together, without you, could then read the answers" in audited
    assert "two transactions per round" in audited
    alone = " ".join(explain(with_capsules(audit=False)).split())
    assert "your holdout and the pooled sums" not in alone


@pytest.mark.parametrize("audit", [True, False])
def test_each_party_has_its_column_in_what_was_learned(audit: bool) -> None:
    bounty = with_capsules(audit=audit)
    known = learned(bounty, 3, {A: Revealed(score_bits=48, told_bits=300)})
    assert all(set(by_party) == {*WHO, CAPSULE} for by_party in known.values())
    ours = known["sums over one mine's data"]
    assert ours["you, with other software"] == "300 bits"
    assert ours[CAPSULE] == "no"
    assert known["the weights"][CAPSULE] == ("all" if audit else "encrypted")
    plain = learned(Bounty.example(), 3, {})
    assert all(set(by_party) == set(WHO) for by_party in plain.values())
    assert plain["sums over one mine's data"]["you, with other software"] == "all"
