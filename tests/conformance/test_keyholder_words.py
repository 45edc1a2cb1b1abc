"""What every holder of a key must do, where answers are words: run on the holder behind three capsules. What
differs from answers in ciphertexts (`test_keyholder`) is what nobody can see of words: tests, twins, scores.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pysonar.capsules.answers import Place as Site
from pysonar.capsules.members import Wanted
from pysonar.keys.covered.words import WordsHolder
from pysonar.keys.holder import Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.updates import MineUpdate
from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.errors import (
    CapsuleFault,
    CapsulesDiffer,
    CapsuleUnavailable,
    CiphertextError,
    LedgerConflict,
    UpdateOutOfRange,
    UsageError,
)
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.totals import plan_of
from sonar.manifests.model import ModelManifest, PlanSpec
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.ids import Cid, Digest, links_of
from sonar.veil.masks import Words, veiled_words
from sonar.veil.streams import Place, seed_hash
from sonar.veil.words import slack, to_words, write_words
from tests.capsule_kit import panel_of
from tests.conformance.test_keyholder import small
from tests.holder_kit import job_of, manifest_of
from tests.veil_kit import new_seeds, sealed
from tests.veiled_holder_kit import SCIENTIST, SITE, Behind, address, name_of

SPEC = SumsSpec(
    columns=(NumberColumn(name="x", low_q32=to_q32(-1), high_q32=to_q32(1)),),
    terms=(Outside(name="o", columns=("x",)),),
    parameters=2,
    rows_min=10,
    rows_max=1000,
)
PLAN = plan_of(SPEC, 512, 5)
MOST = PLAN.update_max
COUNT = PLAN.weights
NONE = r"out of range|outside the range"


def at(number: int) -> list[int]:
    """The parameters of a round: never twice the same."""
    return [number, -number]


def study(behind: Behind, name: str = "job", min_mines: int = 2) -> Job:
    """A bounty that asks for sums, behind these capsules."""
    job = job_of(PLAN, name=name, min_mines=min_mines)
    manifest = manifest_of(replace(PLAN, outputs=1), name, 1).model_copy(
        update={"family": SPEC, "cover": behind.cover, "plan": PlanSpec.parse(PLAN.to_dict())}
    )
    made = replace(job, model=ModelManifest.from_bytes(manifest.to_bytes()).to_bytes())
    behind._jobs[made.bounty] = made
    return made


class Masking:
    """Takes answers in the clear, masks them as their mines would, and fixes sets as a campaign does."""

    def __init__(self, key: Key, behind: Behind) -> None:
        self.behind, self.panel = behind, panel_of(behind.services(), SCIENTIST, SITE, behind.before)
        self.real = WordsHolder(key, self.panel, Site(*SITE), Wanted((), 2, 64, 2))

    def update(self, job: Job, number: int, name: str, values: Sequence[int], rows: int = 40) -> MineUpdate:
        """What a mine sends; the same again if it is asked again."""
        return self.masked(job, number, name, to_words(values), rows)

    def masked(self, job: Job, number: int, name: str, words: Words, rows: int = 40) -> MineUpdate:
        behind, mine = self.behind, address(name)
        here = job.bounty, number, name, rows, words.tobytes()
        if here not in behind._sent:
            seeds = behind._seeds.setdefault((job.bounty, name), new_seeds(behind.cover))
            place = Place(Digest(number.to_bytes(32, "big")), secrets.token_bytes(32), number)
            blob = write_words(veiled_words(words, seeds, place))
            plain = UpdateManifest(
                chain_id=job.chain_id,
                contract=job.contract,
                bounty=job.bounty,
                round=number,
                mine=mine,
                model=Cid("dag-cbor", place.question),
                key=bytes(32),
                rows=rows,
                ciphertexts=len(words),
                blobs=links_of(blob),
            )
            hashes = tuple(map(seed_hash, seeds))
            veil = Veil(
                nonce=place.nonce, seeds=hashes, wraps=b"", envelopes=sealed(plain, behind.cover, seeds)
            )
            digest = behind.store.put(plain.model_copy(update={"veil": veil}).to_bytes(), "dag-cbor").digest
            behind._sent[here] = MineUpdate(mine, rows, (), blob, digest, veil)
        return behind._sent[here]

    def fix(self, job: Job, number: int, updates: Sequence[MineUpdate]) -> Choice:
        choice = self.real.choose(job, number, updates)
        if choice.manifest:
            self.behind.store.put(choice.manifest, "dag-cbor")
            self.behind.fixed[job.bounty, number] = choice.digest
        return choice

    def open_sum(self, job: Job, number: int, updates: Sequence[MineUpdate]) -> list[int]:
        self.fix(job, number, updates)
        return self.real.open_sum(job, number, at(number), updates)


Open = Callable[[], Masking]


@pytest.fixture
def behind() -> Behind:
    return Behind(Key(*small()).public)


@pytest.fixture
def opened(behind: Behind, tmp_path: Path) -> Iterator[Open]:
    """Opens the holder as a program does that was just started."""
    Key(*small()).save(tmp_path / "key", "pass", dev=True)
    holders: list[Masking] = []

    def again() -> Masking:
        for one in holders:
            one.real.close()
        holders.append(Masking(Key.load(tmp_path / "key", "pass"), behind))
        return holders[-1]

    yield again
    holders[-1].real.close()


@pytest.fixture
def job(behind: Behind) -> Job:
    return study(behind)


def values_of(name: str, number: int = 1) -> list[int]:
    """A mine's answer, with the largest values among them."""
    ends = [0, MOST, -MOST, 1, -1]
    return [ends[(i + ord(name) + number) % 5] for i in range(COUNT)]


def honest(holder: Masking, job: Job, names: str, number: int = 1) -> list[MineUpdate]:
    return [holder.update(job, number, name, values_of(name, number)) for name in names]


def summed(names: str, number: int = 1) -> list[int]:
    return [sum(column) for column in zip(*(values_of(name, number) for name in names), strict=True)]


def test_honest_updates_hold_in_every_round_and_after_every_start(opened: Open, job: Job) -> None:
    for number in range(1, 4):
        holder = opened()
        updates = honest(holder, job, "abcde", number)
        for _ in range(2):
            told = holder.real.holds(job, number, at(number), updates)
            assert told == dict.fromkeys(map(address, "abcde"))
        assert holder.real.knows(job, number)
    found = opened().real.revealed(job)
    assert {(one.told_bits, one.score_bits, len(one.failed_tests)) for one in found.values()} == {(3, 0, 0)}


def test_a_sum_is_exact_and_the_same_again(opened: Open, job: Job) -> None:
    holder = opened()
    updates = honest(holder, job, "abc")
    assert holder.open_sum(job, 1, updates) == summed("abc")
    asked = len(holder.behind.asked)
    assert opened().open_sum(job, 1, updates[::-1]) == summed("abc")
    assert len(holder.behind.asked) == asked, "what was told is on record"


def test_all_weigh_one_whatever_rows_they_say(opened: Open, job: Job) -> None:
    holder = opened()
    updates = [
        holder.update(job, 1, name, values_of(name), rows)
        for name, rows in (("a", 10), ("b", 1000), ("c", 40))
    ]
    assert set(holder.fix(job, 1, updates).weights.values()) == {1}
    assert holder.open_sum(job, 1, updates) == summed("abc")


def test_the_least_cohort_is_the_terms_own(opened: Open, behind: Behind) -> None:
    holder = opened()
    three, one = study(behind, min_mines=3), study(behind, min_mines=1)
    assert [holder.real.least(job) for job in (one, three)] == [2, 3]
    for job, few in ((one, "a"), (three, "ab")):
        with pytest.raises(UsageError, match="at least"):
            holder.open_sum(job, 1, honest(holder, job, few))
    assert holder.open_sum(three, 1, honest(holder, three, "abc")) == summed("abc")


def test_no_two_sums_differ_by_one_mine(opened: Open, job: Job) -> None:
    holder = opened()
    a, b, c = honest(holder, job, "abc")
    holder.open_sum(job, 1, [a, b, c])
    for number, updates in ((1, [a, b]), (2, honest(holder, job, "ab", 2)), (2, [a, b])):
        with pytest.raises(LedgerConflict):
            opened().open_sum(job, number, updates)
    assert opened().open_sum(job, 3, honest(holder, job, "abc", 3)) == summed("abc", 3)


def test_a_set_that_was_not_chosen_is_not_opened(opened: Open, job: Job) -> None:
    holder = opened()
    updates = honest(holder, job, "abc")
    with pytest.raises(LedgerConflict, match="no such set was chosen"):
        holder.real.open_sum(job, 1, at(1), updates)


@pytest.mark.parametrize("sign", [1, -1])
def test_who_spoils_a_sum_is_told_and_fails_for_good(opened: Open, job: Job, sign: int) -> None:
    """The smallest value that makes the sum none, where all others send the most that is honest."""
    holder = opened()
    far = [0] * COUNT
    far[3] = sign * (MOST + 3 * slack(PLAN, 3) + 1)
    full = [0] * COUNT
    full[3] = sign * MOST
    updates = [holder.update(job, 1, "x", far), *(holder.update(job, 1, name, full) for name in "ab")]
    holder.real.holds(job, 1, at(1), updates)
    with pytest.raises((UpdateOutOfRange, CapsuleFault), match=NONE) as caught:
        holder.open_sum(job, 1, updates)
    assert str(far[3]) not in str(caught.value)
    again = opened()
    assert again.real.spoilers(job, 1, {}) == {address("x"): "range"}
    told = opened().real.holds(job, 2, at(2), honest(again, job, "abx", 2))
    assert {name_of(mine): test for mine, test in told.items()} == {"a": None, "b": None, "x": "range"}
    assert opened().real.revealed(job)[address("x")].failed_tests == [(1, "range")]


def test_a_value_that_is_far_out_of_range_is_told_too(opened: Open) -> None:
    for value in (2**63 - 1, -(2**63), 2**62):
        holder = opened()
        other = study(holder.behind, f"study {value}")
        numbers = [value % 97, 1]
        updates = [*honest(holder, other, "abc"), holder.update(other, 1, "x", [value] * COUNT)]
        holder.fix(other, 1, updates)
        with pytest.raises((UpdateOutOfRange, CapsuleFault), match=NONE):
            holder.real.open_sum(other, 1, numbers, updates)
        assert list(opened().real.spoilers(other, 1, {})) == [address("x")]


def test_a_word_that_is_copied_is_junk_under_other_masks(opened: Open, job: Job) -> None:
    """Another's masked words are uniform once the sender's own masks are off: they spoil the sum."""
    holder = opened()
    a, b, c = honest(holder, job, "abc")
    copy = replace(holder.update(job, 1, "x", [0] * COUNT), blob=a.blob)
    with pytest.raises((UpdateOutOfRange, CapsuleFault), match=NONE):
        holder.open_sum(job, 1, [a, b, c, copy])
    assert list(opened().real.spoilers(job, 1, {})) == [address("x")]


def test_spoilers_of_a_sum_that_is_one_are_not_asked_for(opened: Open, job: Job) -> None:
    holder = opened()
    with pytest.raises(LedgerConflict, match="no sum"):
        holder.real.spoilers(job, 1, {})
    holder.open_sum(job, 1, honest(holder, job, "abc"))
    with pytest.raises(UsageError, match="is not known to be none"):
        holder.real.spoilers(job, 1, {})


def test_nobody_is_scored(opened: Open, job: Job) -> None:
    holder = opened()
    holder.open_sum(job, 1, honest(holder, job, "abc"))
    with pytest.raises(UsageError, match="have no scores"):
        holder.real.score(job, 1, {1: [1.0] * COUNT})


def test_the_same_data_under_two_addresses_are_not_seen(opened: Open, job: Job) -> None:
    """Masks are each mine's own: so equal answers count twice, and nobody can tell."""
    holder = opened()
    updates = [holder.update(job, 1, name, values_of("a")) for name in "xyz"]
    assert len({one.blob for one in updates}) == 3
    holder.real.holds(job, 1, at(1), updates)
    assert holder.real.twins(job, 1) == {}
    assert holder.open_sum(job, 1, updates) == [3 * value for value in values_of("a")]


# ---- capsules


def refuses() -> None:
    raise httpx.ConnectError("connection refused")


@pytest.mark.parametrize("gone", range(3))
def test_any_two_capsules_suffice(opened: Open, job: Job, behind: Behind, gone: int) -> None:
    behind.before[behind.capsules[gone].address] = refuses
    holder = opened()
    updates = honest(holder, job, "abc")
    assert set(holder.real.holds(job, 1, at(1), updates).values()) == {None}
    assert holder.open_sum(job, 1, updates) == summed("abc")


def off_by_one(kind: str, told: Any) -> Any:
    return told + np.uint64(1) if kind == "sum" else told


@pytest.mark.parametrize("liar", range(3))
def test_a_lie_in_one_unit_is_found_and_both_are_named(
    opened: Open, job: Job, behind: Behind, liar: int
) -> None:
    behind.lies[liar] = off_by_one
    holder = opened()
    with pytest.raises(CapsulesDiffer) as caught:
        holder.open_sum(job, 1, honest(holder, job, "abc"))
    named = [one.address in str(caught.value) for one in behind.capsules]
    assert sum(named) == 2
    assert named[liar]
    del behind.lies[liar]
    holder = opened()
    assert holder.open_sum(job, 1, honest(holder, job, "abc")) == summed("abc")


def test_too_few_capsules_open_nothing(opened: Open, job: Job, behind: Behind) -> None:
    for one in behind.capsules[:2]:
        behind.before[one.address] = refuses
    holder = opened()
    with pytest.raises(CapsuleUnavailable, match="1 of 3 capsules"):
        holder.real.holds(job, 1, at(1), honest(holder, job, "abc"))


# ---- what is none


def test_questions_that_are_none_are_refused(opened: Open, job: Job) -> None:
    holder = opened()
    a, b = honest(holder, job, "ab")
    wrong: list[tuple[list[int], list[MineUpdate], type[Exception]]] = [
        ([0], [a, b], UsageError),
        (at(1), [a, a], UsageError),
        (at(1), [a, replace(b, rows=0)], UsageError),
        (at(1), [a, replace(b, blob=b.blob[:-1])], CiphertextError),
        (at(1), [a, replace(b, blob=b.blob + bytes(8))], CiphertextError),
        (at(1), [a, replace(b, blob=b"")], CiphertextError),
        (at(1), [a, replace(b, veil=None)], UsageError),
    ]
    for numbers, updates, error in wrong:
        for ask in (holder.real.holds, holder.real.open_sum):
            with pytest.raises(error):
                ask(job, 1, numbers, updates)
    assert holder.real.holds(job, 1, at(1), []) == {}
