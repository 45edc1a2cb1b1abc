"""A scientist who asks capsules for more of a single answer in words than whether a word is in range.

With the program's own capsules. By functionals she could read a word digit by digit, its last bits too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pysonar.bounty.kinds.fields import MOST_BITS
from pysonar.capsules.answers import Place as Site
from pysonar.capsules.panel import Members
from pysonar.keys.covered.words import WordsHolder
from pysonar.keys.holder import KeyHolder
from sonar.errors import CapsuleRefused, CapsuleUnavailable
from sonar.manifests.capsule import Ask, FunctionalRequest, Part
from sonar.manifests.model import ModelManifest, VeilCover
from sonar.protocol.events import BountyPosted, Revealed
from sonar.protocol.ids import Address, Cid, Digest, joined
from sonar.veil.functionals import Measured
from sonar.veil.masks import Words
from sonar.veil.words import measured_words, read_words, spoiler_bits, to_words, write_words
from tests.integration.words_world import WordsWorld


class Generous(WordsWorld):
    """Its bounty lets capsules tell more than a study asks."""

    def holder(self) -> KeyHolder:
        holder = super().holder()
        assert isinstance(holder, WordsHolder)
        holder._wanted = replace(holder._wanted, bits=MOST_BITS)
        return holder


class Spy:
    """The scientist with software of her own, once all have revealed and before any sum."""

    def __init__(self, folder: Path) -> None:
        self.world = Generous(folder)
        for one in self.world.capsules:
            one.deaf = frozenset({"functional", "sum"})
        with pytest.raises(CapsuleUnavailable):
            self.world.run(self.world.campaign())
        for one in self.world.capsules:
            one.deaf = frozenset()
        (posted,) = self.world.events(BountyPosted)
        self.bounty = posted.bounty
        data = self.world.store.get(Cid("dag-cbor", posted.model_digest), 1 << 20)
        self.model = ModelManifest.from_bytes(data)
        self.plan, cover = self.model.slot_plan, self.model.cover
        assert isinstance(cover, VeilCover)
        self.cover = cover
        self.revealed = {one.mine: one.update_digest for one in self.world.events(Revealed)}
        self.mine = min(self.revealed)

    def body(self, vectors: Sequence[Sequence[int]], bits: int, rounds: Sequence[int] = (1,)) -> bytes:
        parts = tuple(
            Part(round=number, update=Digest(self.revealed[self.mine]), vector=at)
            for at, number in enumerate(rounds)
        )
        return FunctionalRequest(
            chain_id=self.world.market.chain_id,
            contract=self.world.market.address,
            bounty=self.bounty,
            round=1,
            vectors=tuple(write_words(to_words(vector)) for vector in vectors),
            asks=(Ask(mine=Address(self.mine), bits=bits, parts=parts),),
        ).to_bytes()

    def hears(self, vector: Sequence[int], bits: int) -> Measured:
        """What all capsules together tell of it. Raises CapsuleRefused if one of them refuses."""
        body, panel = self.body([vector], bits), self.world.panel()
        read = Site(self.world.market.chain_id, self.world.market.address).functionals(body, [bits])
        heard = panel.ask(Members.of(self.cover), "functional", body, read, {})
        if heard.faults:
            raise next(iter(heard.faults.values()))
        told = [number for (number,) in heard.by_class()]
        return measured_words([(to_words(vector), self.masked())], told, bits)

    def masked(self) -> Words:
        digest = self.revealed[self.mine]
        data = self.world.miners[[one.address for one in self.world.miners].index(self.mine)].ready[1][2]
        assert Cid.of_manifest(data[1]).digest == digest
        return read_words(
            joined([Cid.of_blob(data[0])], len(data[0]), self.world.store.get), self.plan.weights
        )

    def unit(self, value: int = 1, place: int = 1) -> list[int]:
        return [value if at == place else 0 for at in range(self.plan.weights)]


@pytest.fixture
def spy(tmp_path: Path) -> Spy:
    return Spy(tmp_path)


def test_only_the_first_bits_of_one_word_are_told_and_only_once(spy: Spy) -> None:
    """They tell no more than some bits of what a word could be at most; the budget is for one word."""
    bits = spoiler_bits(spy.plan, spy.cover.classes.count)
    found = spy.hears(spy.unit(), bits)
    assert spy.plan.update_max / 64 < found.error <= spy.plan.update_max / 32
    assert bits + 1 < spy.cover.bits == MOST_BITS  # whatever more the cover allows
    with pytest.raises(CapsuleRefused) as caught:
        spy.hears(spy.unit(place=2), bits)
    assert caught.value.code == "budget"
    assert spy.hears(spy.unit(), bits) == found  # the same again tells nothing new


def test_a_word_that_is_moved_up_is_refused(spy: Spy) -> None:
    """2^k e_j would tell the bits from k on: the last ones too."""
    for value in (2, -1, 3, 1 << 12, 1 << 40, (1 << 63) - 1):
        with pytest.raises(CapsuleRefused, match="neither zero nor one at a single word") as caught:
            spy.hears(spy.unit(value), 12)
        assert caught.value.code == "vector"


def test_combinations_of_words_are_refused(spy: Spy) -> None:
    count = spy.plan.weights
    for vector in (
        [1] * count,
        [1, 1] + [0] * (count - 2),
        list(range(count)),
        [1] * (count - 1) + [2],
    ):
        with pytest.raises(CapsuleRefused, match="neither zero nor one at a single word"):
            spy.hears(vector, 12)


def test_more_bits_than_a_range_takes_are_refused(spy: Spy) -> None:
    bits = spoiler_bits(spy.plan, spy.cover.classes.count)
    for more in (bits + 1, 24, 64):
        with pytest.raises(CapsuleRefused, match=f"at most {bits} bits are told"):
            spy.hears(spy.unit(), more)


def test_a_vector_of_another_length_is_refused(spy: Spy) -> None:
    body = spy.body([[0] * (spy.plan.weights + 1)], 1)
    capsule = spy.world.panel()[spy.world.capsules[0].address]
    with pytest.raises(CapsuleRefused, match=r"vectors\.0") as caught:
        capsule.ask("functional", body)
    assert caught.value.code == "malformed"
    assert all("sum" not in one.asked[3:] for one in spy.world.capsules)
