"""Capsules from real homes on real HTTP, asked about answers in words: the most that an answer may have."""

from __future__ import annotations

import secrets
from itertools import combinations

import numpy as np
import pytest

from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.histogram import Histogram
from sonar.families.sums.totals import plan_of
from sonar.manifests.capsule import FunctionalAnswer, FunctionalRequest, SumAnswer
from sonar.manifests.model import PlanSpec, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.ids import Address, links_of
from sonar.veil.functionals import places
from sonar.veil.masks import Words, veiled_words
from sonar.veil.streams import Place, seed_hash
from sonar.veil.sums import unveiled_words, word_sum
from sonar.veil.words import is_out_of_range, measured_words, read_words, spoiler_bits, to_words, write_words
from tests import veil_kit as veil
from tests.served_kit import Cap, Town, fixtures_of
from tests.town_kit import Posted

MINES = 4
world, town, capsules = fixtures_of(MINES)
NAMES = ("a", "b", "c", "d")
SPEC = SumsSpec(
    columns=tuple(NumberColumn(name=name, low_q32=to_q32(0), high_q32=to_q32(1)) for name in NAMES),
    terms=tuple(Histogram(name=name, column=name, bins=1023) for name in NAMES),
    rows_min=10,
    rows_max=1000,
)
PLAN = plan_of(SPEC, 1024, MINES)
COUNT = PLAN.weights
FAR = 2**62
"""What one mine sends in one word, where it spoils the sum."""


class Round:
    """A bounty whose answers are words, and all that the test knows of them."""

    def __init__(self, town: Town, capsules: list[Cap], spoil: int = -1, weight: int = 1) -> None:
        changes = {"family": SPEC, "plan": PlanSpec.parse(PLAN.to_dict())}
        self.town, self.posted = town, town.post(capsules, bits=24, model=changes)
        self.sent: dict[Address, Words] = {}
        self.values: dict[Address, list[int]] = {}
        made = {}
        for index, mine in enumerate(town.mines):
            values = [(-1) ** index * (PLAN.update_max - 1000 * index - place) for place in range(COUNT)]
            if index == spoil:
                values[7] = FAR
            update, words = answer(town, self.posted, mine.address, values)
            made[mine.address] = update
            self.sent[mine.address], self.values[mine.address] = words, values
        town.commit(self.posted, 1, town.mines, made)
        self.digest = town.fix(self.posted, 1, dict.fromkeys(self.sent, weight))

    @property
    def cover(self) -> VeilCover:
        assert isinstance(self.posted.cover, VeilCover)
        return self.posted.cover

    def held(self, capsule: Cap) -> tuple[int, ...]:
        members = [one.account for one in self.cover.members]
        return self.cover.classes.held_by(members.index(capsule.address))

    def sums(self, capsule: Cap) -> dict[int, Words]:
        told = self.town.ask(capsule, self.town.sum(self.posted, 1, self.digest))
        assert isinstance(told, SumAnswer), told
        return {c: read_words(one, COUNT) for c, one in zip(self.held(capsule), told.sums, strict=True)}

    def about(self, vector: Words, bits: int) -> FunctionalRequest:
        asks = [(mine, bits, 0) for mine in self.sent]
        request = self.town.functional(self.posted, 1, asks, [[0] * places(self.posted.plan)])
        return request.model_copy(update={"vectors": (write_words(vector),)})


def answer(town: Town, posted: Posted, mine: Address, values: list[int]) -> tuple[veil.Update, Words]:
    """An update in words, in the store with its blob."""
    assert isinstance(posted.cover, VeilCover)
    seeds = veil.new_seeds(posted.cover)
    place = Place(posted.models[0].digest(), secrets.token_bytes(32), 1)
    words = veiled_words(to_words(values), seeds, place)
    town.store.put(write_words(words), "raw")
    plain = UpdateManifest(
        chain_id=town.market.chain_id,
        contract=town.market.address,
        bounty=posted.bounty,
        round=1,
        mine=mine,
        model=posted.models[0].cid(),
        key=bytes(32),
        rows=40,
        ciphertexts=COUNT,
        blobs=links_of(write_words(words)),
    )
    hashes, sealed = tuple(map(seed_hash, seeds)), veil.sealed(plain, posted.cover, seeds)
    masks = Veil(nonce=place.nonce, seeds=hashes, wraps=b"", envelopes=sealed)
    manifest = plain.model_copy(update={"veil": masks})
    town.store.put(manifest.to_bytes(), "dag-cbor")
    return veil.Update(manifest, (), seeds), words


def test_any_two_capsules_open_the_sum_exactly(town: Town, capsules: list[Cap]) -> None:
    round_ = Round(town, capsules)
    told = [round_.sums(capsule) for capsule in capsules]
    for one, other in combinations(told, 2):
        (shared,) = one.keys() & other.keys()
        assert (one[shared] == other[shared]).all()
        total = word_sum([(1, words) for words in round_.sent.values()])
        plain = unveiled_words(total, ((0, sums) for sums in (one | other).values()))
        assert plain.tolist() == [sum(column) for column in zip(*round_.values.values(), strict=True)]
    for alone in told:
        plain = unveiled_words(total, ((0, sums) for sums in alone.values()))
        assert np.abs(plain).max() > 2**62, "what is left is as large as a word"


def test_what_they_tell_of_one_word_says_who_spoilt_the_sum(town: Town, capsules: list[Cap]) -> None:
    round_ = Round(town, capsules, spoil=2)
    bits = spoiler_bits(PLAN, round_.cover.classes.count)
    vector = to_words([0] * 7 + [1] + [0] * (COUNT - 8))
    by_class: dict[int, list[int]] = {}
    for capsule in capsules[1:]:
        told = town.ask(capsule, round_.about(vector, bits))
        assert isinstance(told, FunctionalAnswer), told
        for at, number in enumerate(round_.held(capsule)):
            values = [each[at] for each in told.values]
            assert by_class.setdefault(number, values) == values
    found = [
        measured_words([(vector, words)], [by_class[c][at] for c in sorted(by_class)], bits)
        for at, words in enumerate(round_.sent.values())
    ]
    assert [is_out_of_range(PLAN, one) for one in found] == [False, False, True, False]
    again = town.refusal(capsules[1], round_.about(to_words([1] + [0] * (COUNT - 1)), bits))
    assert again.code == "budget"


@pytest.mark.parametrize("value", [2, 2**63])
def test_no_other_vector_is_answered(town: Town, capsules: list[Cap], value: int) -> None:
    round_ = Round(town, capsules)
    vector = np.zeros(COUNT, np.uint64)
    vector[3] = value
    assert town.refusal(capsules[0], round_.about(vector, 8)).code == "vector"


def test_a_weight_of_two_is_refused(town: Town, capsules: list[Cap]) -> None:
    """By the sums of even weights everybody's last bit would be told apart."""
    round_ = Round(town, capsules, weight=2)
    for capsule in capsules:
        found = town.refusal(capsule, town.sum(round_.posted, 1, round_.digest))
        assert found.code == "cohort"
        assert "it is at most 1" in found.problem
