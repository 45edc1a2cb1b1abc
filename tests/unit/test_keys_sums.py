"""The key's holder with sums at visible numbers: what it tests, what it opens, and what it never opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from capsule.audit.refusal import Refusal
from capsule.audit.refusal import spec_of as spec_of_audited
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.commands.status import _figures
from sonar.errors import LedgerConflict, UpdateOutOfRange, UsageError
from sonar.families.sums.family import Sums
from sonar.families.sums.totals import plan_of
from sonar.manifests.model import ModelManifest, PlanSpec
from tests.holder_kit import job_of, manifest_of
from tests.sums_kit import number, spec_of

SPEC = spec_of((number("x", -4, 4),), {"kind": "moments", "columns": ("x",)}, parameters=1)
PLAN = plan_of(SPEC, 1024, 5)


@cache
def key_file_primes() -> tuple[int, int]:
    p, q = Key.generate(1024, insecure=True).unsafe_primes()
    return int(p), int(q)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[LocalHolder]:
    Key(*key_file_primes()).save(tmp_path / "key", "pass", dev=True)
    made = LocalHolder(Key.load(tmp_path / "key", "pass"))
    yield made
    made.close()


def job(min_mines: int = 2) -> Job:
    any_plan = replace(PLAN, weights=3)
    quadratic = job_of(any_plan, min_mines=min_mines)
    model = manifest_of(any_plan, "job", 1).model_copy(
        update={"family": SPEC, "plan": PlanSpec.parse(PLAN.to_dict())}
    )
    return replace(quadratic, model=ModelManifest.from_bytes(model.to_bytes()).to_bytes())


@cache
def values(mine: str) -> tuple[int, ...]:
    rows = np.random.default_rng(ord(mine)).normal(size=(40, 1))
    return tuple(Sums().values(PLAN, Sums().prepare(SPEC, PLAN, [rows]), [0]))


def sent(holder: LocalHolder, mines: str, rows: int = 40) -> list[MineUpdate]:
    packed = {mine: holder.encrypt(PLAN.pack(values(mine))) for mine in mines}
    return [MineUpdate.of(holder.public, mine, rows, packed[mine]) for mine in mines]


def opened(holder: LocalHolder, number: int, mines: str, least: int = 2) -> list[int]:
    updates = sent(holder, mines)
    asked = [number << 32]
    assert holder.holds(job(least), number, asked, updates) == dict.fromkeys(mines)
    choice = holder.choose(job(least), number, updates)
    return holder.open_sum(job(least), number, asked, [u for u in updates if u.mine in choice.weights])


def test_a_sum_is_of_all_answers_each_of_weight_one(holder: LocalHolder) -> None:
    assert opened(holder, 1, "abc") == [sum(column) for column in zip(*map(values, "abc"), strict=True)]
    choice = holder.choose(job(), 1, sent(holder, "abc"))
    assert choice.weights == {"a": 1, "b": 1, "c": 1}


def test_what_sums_tell_together_is_not_opened(holder: LocalHolder) -> None:
    opened(holder, 1, "abcd")
    fewer = sent(holder, "abc")
    assert holder.holds(job(), 2, [2 << 32], fewer) == dict.fromkeys("abc")
    chosen = set(holder.choose(job(), 2, fewer).weights)
    assert len(chosen) == 2  # else d would be alone; so one keeps it company
    assert chosen < set("abc")
    with pytest.raises(LedgerConflict, match="is not opened"):
        holder.open_sum(job(), 2, [2 << 32], fewer)
    opened(holder, 3, "abcd")


def test_one_who_comes_late_stays_out_and_two_come_in(holder: LocalHolder) -> None:
    opened(holder, 1, "abc")
    late = holder.choose(job(), 2, sent(holder, "abcd"))
    assert set(late.weights) == set("abc")
    assert late.left["d"].startswith("privacy")
    assert set(holder.choose(job(), 2, sent(holder, "abcde")).weights) == set("abcde")


def test_an_answer_of_other_rows_than_it_says_fails_for_good(holder: LocalHolder) -> None:
    updates = [*sent(holder, "ab"), *sent(holder, "c", rows=41)]
    told = holder.holds(job(), 1, [0], updates)
    assert told == {"a": None, "b": None, "c": "rows"}
    assert holder.holds(job(), 2, [1 << 32], sent(holder, "abc"))["c"] == "rows"


def test_equal_answers_are_twins_and_weigh_as_one(holder: LocalHolder) -> None:
    same = holder.encrypt(PLAN.pack(values("a")))
    updates = [*sent(holder, "ab"), MineUpdate.of(holder.public, "c", 40, same)]
    assert holder.holds(job(), 1, [0], updates) == dict.fromkeys("abc")
    assert holder.twins(job(), 1) == {"a": "a", "c": "a"}
    assert sum(holder.choose(job(), 1, updates).weights.values()) == 2
    assert holder.holds(job(3), 1, [0], updates) == dict.fromkeys("abc")
    assert holder.choose(job(3), 1, updates).weights == {}


def test_a_question_has_as_many_numbers_as_its_spec_says(holder: LocalHolder) -> None:
    for asked in ([], [0, 0], [0] * PLAN.weights):
        with pytest.raises(UsageError, match="numbers; a question of the bounty has 1"):
            holder.holds(job(), 1, asked, sent(holder, "ab"))


def test_values_out_of_range_make_no_sum(holder: LocalHolder) -> None:
    over = holder.encrypt([int(holder.public.n) // 3] * PLAN.ciphertexts)
    updates = [*sent(holder, "ab"), MineUpdate.of(holder.public, "c", 40, over)]
    assert holder.holds(job(), 1, [0], updates)["c"] == "range"
    with pytest.raises(UpdateOutOfRange):
        holder.open_sum(job(), 1, [0], updates)


def test_later_rounds_are_remembered_whatever_the_lengths(holder: LocalHolder) -> None:
    for turn in range(1, 6):
        assert holder.holds(job(), turn, [turn << 32], sent(holder, "abc")) == dict.fromkeys("abc")
    assert all(total.score_bits == 0 for total in holder.revealed(job()).values())


def test_auditors_refuse_a_family_whose_steps_they_do_not_repeat() -> None:
    with pytest.raises(Refusal, match="pay fees only") as told:
        spec_of_audited(job().manifest)
    assert told.value.code == "not-audited"
    assert told.value.hint


def test_the_networks_status_says_nothing_of_a_loss_that_measures_nothing() -> None:
    assert _figures(job().manifest, 1_000_000) == {}
