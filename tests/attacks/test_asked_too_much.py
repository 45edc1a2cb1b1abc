"""A scientist who asks capsules for one answer, in every way that the messages leave her.

Over real HTTP, with a real chain; a corrupt capsule gives her its seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sonar.manifests.capsule import FunctionalAnswer, FunctionalRequest, Problem, SumAnswer
from sonar.manifests.model import VeilCover
from sonar.paillier.public import PublicKey
from sonar.ports import Store
from sonar.protocol import codec
from sonar.protocol.ids import Address, Digest
from sonar.veil.functionals import Measured, class_value, measured, spread, told
from sonar.veil.masks import class_masks, class_wraps, read_wraps
from tests import veil_kit as veil
from tests.served_kit import Cap, Town, fixtures_of
from tests.town_kit import Posted

MINES = 4
world, town, capsules = fixtures_of(MINES)
BITS = 16
ENTRY = 1
"""The number of the answer that she is after."""


def unit(posted: Posted, shift: int = 0, entry: int = ENTRY) -> list[int]:
    """v = 2^shift e_j: the bits of one number, from place `shift` on."""
    return spread(posted.plan, [(place == entry) << shift for place in range(posted.plan.weights)])


def about(town: Town, posted: Posted, vector: Sequence[int], bits: int = BITS) -> FunctionalRequest:
    return town.functional(posted, 1, [(town.mines[0].address, bits, 0)], [vector])


@dataclass
class Spy:
    """The scientist with the seeds of one capsule: she lacks one class of masks, and two others hold it."""

    town: Town
    posted: Posted
    missing: int
    honest: tuple[Cap, ...]

    def hears(self, capsule: Cap, vector: Sequence[int]) -> Measured:
        """Ask an honest capsule, and take off all masks that she has."""
        request = about(self.town, self.posted, vector)
        answer = self.town.ask(capsule, request)
        assert isinstance(answer, FunctionalAnswer), answer
        cover, plan, n = self.posted.cover, self.posted.plan, self.town.key.public.n
        assert isinstance(cover, VeilCover)
        held = cover.classes.held_by([one.account for one in cover.members].index(capsule.address))
        mine = self.town.mines[0]
        update = self.posted.updates[1][mine.address]
        heard = []
        for number, seed in enumerate(mine.seeds[self.posted.bounty]):
            if number == self.missing:
                heard.append(answer.values[0][held.index(number)])
                continue
            masks = class_masks(seed, update.place, n, plan.ciphertexts)
            wraps = class_wraps(seed, update.place, plan.slot_bits, plan.ciphertexts)
            heard.append(told(class_value(plan, [n], [vector], [masks], [wraps]), plan.slot_bits, BITS))
        opened, wrapped = self.town.opened(self.posted, 1, mine.address), read_wraps(plan, update.veil.wraps)
        return measured(plan, [n], [vector], [opened], [wrapped], heard, BITS)


def spy(town: Town, capsules: list[Cap]) -> Spy:
    posted = town.post(capsules, bits=BITS)
    town.answer(posted)
    assert isinstance(posted.cover, VeilCover)
    corrupt = [one.account for one in posted.cover.members].index(capsules[0].address)
    (missing,) = set(range(posted.cover.classes.count)) - set(posted.cover.classes.held_by(corrupt))
    return Spy(town, posted, missing, (capsules[1], capsules[2]))


def test_an_entry_read_digit_by_digit_ends_at_the_bits_of_each_honest_holder(
    town: Town, capsules: list[Cap]
) -> None:
    """The first bits from one holder, by e_j; the next from the other, by 2^16 e_j. Then both are silent."""
    hers = spy(town, capsules)
    posted, (first, second), size = hers.posted, hers.honest, hers.posted.plan.slot_bits
    assert size > 2 * BITS + 8  # more is hidden than she gets
    true = posted.values[1][town.mines[0].address][ENTRY]
    high, low = hers.hears(first, unit(posted)), hers.hears(second, unit(posted, BITS))
    assert abs(high.value - true) <= high.error < 1 << (size - BITS + 2)
    off = (low.value - (true << BITS)) % (1 << size)
    assert min(off, (1 << size) - off) <= low.error  # it works, as far as it goes
    assert low.error >> BITS > 1 << (size - 2 * BITS - 1)  # and no further
    mine = town.mines[0].address
    for capsule in hers.honest:
        for vector in (unit(posted, 2 * BITS), unit(posted, size - BITS), unit(posted, 0, 2)):
            for bits in (1, BITS):
                refusal = town.refusal(capsule, about(town, posted, vector, bits))
                assert (refusal.code, refusal.mine) == ("budget", mine)
        assert capsule.party.ledger.bits_of(posted.bounty)[mine] == BITS


def test_an_entry_in_one_question_of_all_bits_is_over_the_budget(town: Town, capsules: list[Cap]) -> None:
    hers = spy(town, capsules)
    whole = about(town, hers.posted, unit(hers.posted), hers.posted.plan.slot_bits)
    shares = [(town.mines[0].address, 9, number) for number in range(2)]
    split = town.functional(hers.posted, 1, shares, [unit(hers.posted), unit(hers.posted, 9)])
    for request in (whole, split):
        assert town.refusal(hers.honest[0], request).code == "budget"
    assert hers.honest[0].party.ledger.bits_of(hers.posted.bounty) == {}


def test_a_sum_is_asked_without_weights_or_mines(town: Town, capsules: list[Cap]) -> None:
    """Nothing of a set can be said in a request: it has no field for it, and unknown ones are refused."""
    posted = town.post(capsules)
    town.answer(posted)
    there = {mine.address: 20 for mine in town.mines}
    request = town.sum(posted, 1, town.fix(posted, 1, there))
    fields = codec.decode(request.to_bytes(), max_bytes=1 << 16)
    assert isinstance(fields, dict)
    for name, value in (("weights", [20, 20, 20, 21]), ("mines", [bytes(20)]), ("addends", [])):
        body = codec.encode({**fields, name: value})
        found = town.sent(capsules[0], "sum", town.signed(body, capsules[0].address).to_bytes(), body)
        assert isinstance(found, Problem)
        assert (found.code, name in found.problem) == ("malformed", True)
    assert isinstance(town.ask(capsules[0], request), SumAnswer)


def test_an_answer_to_a_stale_question_is_told_of_to_nobody(town: Town, capsules: list[Cap]) -> None:
    """The same place would have the same masks: a question is that of the chain's model of the round."""
    posted = town.post(capsules)
    town.answer(posted)
    town.settle(posted, 1)
    stale = posted.models[0].cid()
    town.answer(posted, 2, lies={0: lambda update: update.saying(model=stale)})
    request = town.functional(posted, 2, [(town.mines[0].address, 4, 0)], [unit(posted)])
    found = town.refusal(capsules[0], request)
    assert (found.code, found.mine, "model" in found.problem) == ("mine", town.mines[0].address, True)
    assert town.refusal(capsules[0], about(town, posted, unit(posted), 4)).code == "phase"
    others = town.functional(posted, 2, [(town.mines[1].address, 4, 0)], [unit(posted)])
    assert isinstance(town.ask(capsules[0], others), FunctionalAnswer)


class Withheld(veil.Update):
    """An update that is revealed on the chain, and in no store."""

    def put(self, store: Store, key: PublicKey, *, blob: bool = True) -> Digest:
        return self.manifest.digest()


def test_a_withheld_envelope_is_the_fault_of_its_mine_alone(town: Town, capsules: list[Cap]) -> None:
    """Also in a fixed set: nobody is told a sum with an answer of which a capsule has no seeds."""
    posted = town.post(capsules)
    lies = {0: lambda update: Withheld(update.manifest, update.ciphertexts, update.seeds)}
    town.answer(posted, lies=lies)
    culprit = town.mines[0].address
    for capsule in capsules:
        for index, mine in enumerate(town.mines):
            request = town.functional(posted, 1, [(mine.address, 4, 0)], [unit(posted)])
            if index:
                assert isinstance(town.ask(capsule, request), FunctionalAnswer)
            else:
                found = town.refusal(capsule, request)
                assert (found.code, found.mine) == ("mine", culprit)
    there: dict[Address, int] = {mine.address: 20 for mine in town.mines}
    found = town.refusal(capsules[0], town.sum(posted, 1, town.fix(posted, 1, there)))
    assert (found.code, found.mine) == ("mine", culprit)
