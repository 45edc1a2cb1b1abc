"""What a capsule refuses a scientist who asks for too much, an outsider, and what mines do to each other."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from capsule.home.policy import Policy, Rules, Service
from capsule.opening import functional
from pysonar.keys.key import Key, Secret
from sonar.manifests.capsule import FunctionalAnswer, FunctionalRequest, Problem, SumAnswer
from sonar.manifests.model import KeyManifest, VeilCover
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.veil.envelopes import EnvelopeKey
from sonar.veil.functionals import places, spread
from tests import veil_kit as veil
from tests.served_kit import Cap, Town, fixtures_of
from tests.town_kit import Posted, plan_of

pytestmark = pytest.mark.xdist_group("capsule_hostile")
MINES = 4
world, town, capsules = fixtures_of(MINES)
OTHER = Address("0x" + "5" * 40)


@pytest.fixture(scope="module")
def posted(world: tuple[Town, list[Cap]]) -> Posted:
    """A bounty that has all of its answers in round 1, with 30 bits for each."""
    town, capsules = world
    made = town.post(capsules, bits=30)
    town.answer(made)
    return made


def vector(posted: Posted) -> list[int]:
    return spread(posted.plan, [1, 2, 3])


def question(town: Town, posted: Posted, index: int = 0, bits: int = 4, number: int = 1) -> FunctionalRequest:
    mine = town.mines[index].address
    return town.functional(posted, number, [(mine, bits, 0)], [vector(posted)])


def weights(town: Town, *indices: int, weight: int = 20) -> dict[Address, int]:
    return {town.mines[index].address: weight for index in indices or range(len(town.mines))}


# ---- whose request it is


def test_a_request_counts_for_one_capsule_once_in_time_from_the_scientist_alone(
    town: Town, capsules: list[Cap], posted: Posted
) -> None:
    first, second, _ = capsules
    request = question(town, posted)
    stranger = Account.create()
    now_s = town.market.head().timestamp_s
    for options, code in (
        ({"by": stranger}, "signature"),
        ({"expires_s": now_s - 1}, "expired"),
        ({"expires_s": now_s + 10**6}, "expired"),
    ):
        assert town.refusal(first, request, **options).code == code
    body = request.to_bytes()
    signed = town.signed(body, first.address)
    misled = town.sent(second, "functional", signed.to_bytes())
    forged = town.sent(first, "functional", signed.model_copy(update={"signature": b"\1" * 65}).to_bytes())
    longer = signed.model_copy(update={"expires_s": signed.expires_s + 1}).to_bytes()
    moved = town.sent(first, "functional", longer)
    assert [one.code for one in (misled, forged, moved) if isinstance(one, Problem)] == [
        "network",
        "signature",
        "signature",
    ]
    assert isinstance(town.sent(first, "functional", signed.to_bytes(), body), FunctionalAnswer)
    again = town.sent(first, "functional", signed.to_bytes())
    assert isinstance(again, Problem)
    assert again.code == "replayed"
    assert "fresh nonce" in again.hint


def test_another_chain_contract_bounty_or_kind_is_refused(
    town: Town, capsules: list[Cap], posted: Posted
) -> None:
    request = question(town, posted)
    for changes, code in (
        ({"chain_id": 1}, "network"),
        ({"contract": OTHER}, "network"),
        ({"bounty": BountyId(b"z" * 32)}, "unknown-bounty"),
        ({"round": 2}, "malformed"),  # its parts are of round 1
    ):
        assert town.refusal(capsules[0], request.model_copy(update=changes)).code == code
    body = request.to_bytes()
    crossed = town.sent(capsules[0], "sum", town.signed(body, capsules[0].address).to_bytes())
    assert isinstance(crossed, Problem)
    assert (crossed.code, "kind" in crossed.problem) == ("malformed", True)
    newer = body.replace(b"\x61v\x02", b"\x61v\x03")
    told = town.sent(capsules[0], "functional", town.signed(newer, capsules[0].address).to_bytes())
    assert isinstance(told, Problem)
    assert (told.code, "v" in told.problem) == ("malformed", True)
    settled = town.sent(capsules[0], "settlement", town.signed(body, capsules[0].address).to_bytes())
    assert isinstance(settled, Problem)


def test_a_bounty_of_others_or_of_none_is_refused(town: Town, capsules: list[Cap]) -> None:
    none, others = town.post([]), town.post(capsules[:2])
    for made in (none, others):
        town.answer(made)
        request = question(town, made)
        assert town.refusal(capsules[2], request).code == "not-veiled"
    assert isinstance(town.ask(capsules[0], question(town, others)), FunctionalAnswer)


@pytest.mark.parametrize("what", ["proof", "stolen key", "epoch", "signature", "plan"])
def test_a_bounty_that_is_not_sound_is_refused(town: Town, capsules: list[Cap], what: str) -> None:
    members = tuple(one.public for one in capsules)
    ours, theirs = members[0], members[1]
    lies: dict[str, Any] = {
        "stolen key": {0: ours.model_copy(update={"hpke": EnvelopeKey.new().public})},
        "epoch": {0: ours.model_copy(update={"epoch": 7})},
        "signature": {1: theirs.model_copy(update={"signature": ours.signature})},
    }
    options: dict[str, Any] = {}
    if what == "proof":
        options["proof"] = b"\1" * len(town.key.proof)
    elif what == "plan":
        plan = plan_of(2)
        options["model"] = {"plan": town.post(capsules).models[0].plan.model_copy(update={"mines_max": 2})}
        assert plan.mines_max < MINES
    else:
        changed = tuple(lies[what].get(i, one) for i, one in enumerate(members))
        options["model"] = {"cover": VeilCover(threshold=2, members=changed, bits=512)}
    made = town.post(capsules, **options)
    made.updates[1] = {}
    request = FunctionalRequest(
        chain_id=town.market.chain_id,
        contract=town.market.address,
        bounty=made.bounty,
        round=1,
        vectors=(b"v",),
        asks=(
            {"mine": OTHER, "bits": 1, "parts": [{"round": 1, "update": b"u" * 32, "vector": 0}]},  # type: ignore[arg-type]
        ),
    )
    assert town.refusal(capsules[0], request).code == "model"


# ---- how much is told


def test_the_same_is_told_again_for_nothing_and_more_than_the_budget_never(
    town: Town, capsules: list[Cap], posted: Posted
) -> None:
    capsule, mine = capsules[0], town.mines[1].address
    whole = town.functional(posted, 1, [(mine, 12, 0), (mine, 12, 1)], [vector(posted)] * 2)
    first = town.ask(capsule, whole)  # twice the same ask: told once
    assert isinstance(first, FunctionalAnswer)
    assert first.values[0] == first.values[1]
    assert town.ask(capsule, whole) == first
    assert capsule.party.ledger.bits_of(posted.bounty)[mine] == 12
    another = spread(posted.plan, [3, 2, 1])
    more = town.functional(posted, 1, [(mine, 12, 0), (mine, 12, 1)], [another, vector(posted)])
    second = town.ask(capsule, more)
    assert isinstance(second, FunctionalAnswer)
    assert second.values[1] == first.values[0]
    assert capsule.party.ledger.bits_of(posted.bounty)[mine] == 24
    third = town.functional(posted, 1, [(mine, 7, 0)], [spread(posted.plan, [9, 9, 9])])
    refusal = town.refusal(capsule, third)
    assert (refusal.code, refusal.mine) == ("budget", mine)
    assert "31 bits" in refusal.problem
    assert capsule.party.ledger.bits_of(posted.bounty)[mine] == 24
    assert town.ask(capsule, more) == second


def test_each_holder_counts_alone_and_each_bounty(town: Town, capsules: list[Cap], posted: Posted) -> None:
    """What the design says: a budget counts as often as there are holders of a class; other bounties of the
    same mines have other seeds.
    """
    mine = town.mines[2].address
    for number, capsule in enumerate(capsules):
        request = town.functional(posted, 1, [(mine, 30, 0)], [spread(posted.plan, [number, 1, 1])])
        assert isinstance(town.ask(capsule, request), FunctionalAnswer)
        over = town.functional(posted, 1, [(mine, 1, 0)], [spread(posted.plan, [7, 1, 1])])
        assert town.refusal(capsule, over).code == "budget"
    parallel = town.post(capsules, bits=30)
    town.answer(parallel)
    request = town.functional(parallel, 1, [(mine, 30, 0)], [spread(posted.plan, [0, 1, 1])])
    told = town.ask(capsules[0], request)
    assert isinstance(told, FunctionalAnswer)


def test_a_request_that_makes_no_sense_is_refused(town: Town, capsules: list[Cap], posted: Posted) -> None:
    request = question(town, posted, 3)
    ask, count = request.asks[0], places(posted.plan)
    width = len(request.vectors[0]) // count
    part = ask.parts[0]
    twice = ask.model_copy(update={"parts": (part, part)})
    beyond = ask.model_copy(update={"parts": (part.model_copy(update={"vector": 1}),)})
    bits = ask.model_copy(update={"bits": 64})
    for changes, words in (
        ({"vectors": (b"x",)}, "places"),
        ({"vectors": (b"\xff" * width * count,)}, "bits"),
        ({"asks": (twice,)}, "ascend"),
        ({"asks": (beyond,)}, "vector"),
        ({"asks": (bits,)}, "bits"),
    ):
        found = town.refusal(capsules[0], request.model_copy(update=changes))
        assert found.code == "malformed", found
        assert words in found.problem
    assert posted.plan.slot_bits < 64


# ---- when


def test_nothing_is_told_of_a_round_that_is_not_full_or_is_over(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    there = town.mines
    updates = {mine.address: town._update(made, 1, mine, index, 40) for index, mine in enumerate(there)}
    made.updates[1] = updates
    early = town.refusal(capsules[0], question(town, made))
    assert early.code == "mine" or early.code == "depth"
    town.answer(made)
    assert isinstance(town.ask(capsules[0], question(town, made)), FunctionalAnswer)
    town.settle(made, 1)
    assert town.refusal(capsules[1], question(town, made)).code == "phase"
    assert isinstance(town.ask(capsules[0], question(town, made)), FunctionalAnswer)  # told before
    digest = Digest(b"c" * 32)
    assert town.refusal(capsules[0], town.sum(made, 2, digest)).code == "depth"
    assert town.refusal(capsules[0], town.sum(made, 3, digest)).code == "depth"


# ---- what mines do


def test_a_bad_envelope_stops_its_mine_at_its_holder_alone(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    cover = made.cover
    assert isinstance(cover, VeilCover)
    town.answer(
        made,
        lies={
            0: lambda update: veil.bad_envelope(update, 1),
            1: lambda update: veil.false_seeds(update, cover, 1),
            2: lambda update: veil.swapped_envelopes(update),
        },
    )
    for index, places_refused in ((0, {1}), (1, {1}), (2, {0, 1}), (3, set())):
        for place, capsule in enumerate(capsules):
            found = town.ask(capsule, question(town, made, index))
            if place in places_refused:
                assert isinstance(found, Problem)
                assert (found.code, found.mine) == ("mine", town.mines[index].address)
            else:
                assert isinstance(found, FunctionalAnswer), found


def test_an_update_that_is_not_the_revealed_one_or_is_withheld_is_its_mine_s_fault(
    town: Town, capsules: list[Cap], posted: Posted
) -> None:
    mine = town.mines[3].address
    request = question(town, posted, 3)
    ask = request.asks[0]
    other = ask.parts[0].model_copy(update={"update": posted.digests(1)[town.mines[2].address]})
    found = town.refusal(
        capsules[0], request.model_copy(update={"asks": (ask.model_copy(update={"parts": (other,)}),)})
    )
    assert (found.code, found.mine) == ("mine", mine)
    made = town.post(capsules)
    lies: dict[int, Any] = {
        0: lambda update: replace(update, manifest=update.manifest.model_copy(update={"round": 2})),
        1: lambda update: veil.anothers(update, town.mines[2].address),
        2: lambda update: update.veil_saying(wraps=b"\xff" * len(update.veil.wraps)),
        3: lambda update: update.saying(veil=None),
    }
    town.answer(made, lies=lies)
    for index in lies:
        found = town.refusal(capsules[0], question(town, made, index))
        assert (found.code, found.mine) == ("mine", town.mines[index].address), found


def test_reseeding_is_refused(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    town.answer(made)
    assert isinstance(town.ask(capsules[0], question(town, made)), FunctionalAnswer)
    town.settle(made, 1)
    town.mines[0].seeds.pop(made.bounty)
    town.answer(made, 2)
    found = town.refusal(capsules[0], question(town, made, number=2))
    assert (found.code, "seeds" in found.problem) == ("mine", True)
    assert isinstance(town.ask(capsules[0], question(town, made, 1, number=2)), FunctionalAnswer)


# ---- which sums


def test_only_the_set_that_the_chain_fixed_is_opened(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    town.answer(made)
    mine_set, smaller = weights(town), weights(town, 0, 1, 2)
    unfixed = town.cohort(made, 1, mine_set)
    town.store.put(unfixed.to_bytes(), "dag-cbor")
    request = town.sum(made, 1, unfixed.digest())
    assert town.refusal(capsules[0], request).code == "depth"
    digest = town.fix(made, 1, mine_set)
    assert digest == unfixed.digest()
    other = town.cohort(made, 1, smaller)
    town.store.put(other.to_bytes(), "dag-cbor")
    assert town.refusal(capsules[0], town.sum(made, 1, other.digest())).code == "cohort"
    first = town.ask(capsules[0], request)
    assert isinstance(first, SumAnswer)
    assert town.ask(capsules[0], request) == first


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("junk", "malformed"),
        ("round", "not of round 1"),
        ("update", "not revealed"),
        ("weight", "rows"),
        ("dominance", "more than half"),
        ("factors", "same weight"),
        ("few", "least"),
    ],
)
def test_a_fixed_set_that_breaks_a_rule_is_not_opened(
    town: Town, capsules: list[Cap], what: str, words: str
) -> None:
    made = town.post(capsules, min_mines=3)
    town.answer(made)
    fixed, changes = weights(town), dict[str, Any]()
    if what == "round":
        changes["round"] = 2
    elif what == "update":
        addends = town.cohort(made, 1, fixed).addends
        changes["addends"] = (addends[0].model_copy(update={"update": b"u" * 32}), *addends[1:])
    elif what == "weight":
        fixed = weights(town, weight=41)  # of 40 rows
    elif what == "dominance":
        fixed = weights(town, weight=5) | {town.mines[0].address: 16}
    elif what == "factors":
        fixed = weights(town, weight=30) | {town.mines[0].address: 7}  # the sum modulo 30 is its answer
    elif what == "few":
        fixed = weights(town, 0, 1)
    if what == "junk":
        digest = town.store.put(secrets.token_bytes(100), "dag-cbor").digest
        town.fix_digest(made, 1, digest)
    else:
        digest = town.fix(made, 1, fixed, **changes)
    found = town.refusal(capsules[0], town.sum(made, 1, digest))
    assert found.code == "cohort"
    assert words in found.problem


def test_a_set_that_is_in_no_store_is_missing_until_it_is_there(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    town.answer(made)
    cohort = town.cohort(made, 1, weights(town))
    town.fix_digest(made, 1, cohort.digest())
    request = town.sum(made, 1, cohort.digest())
    assert town.refusal(capsules[0], request).code == "missing"
    town.store.put(cohort.to_bytes(), "dag-cbor")
    assert isinstance(town.ask(capsules[0], request), SumAnswer)


def test_no_sum_tells_one_mine_from_the_others_even_at_a_capsule_that_saw_no_sum_before(
    town: Town, capsules: list[Cap]
) -> None:
    """The first sum is opened by two capsules; the third was never asked, and refuses the second alike."""
    made = town.post(capsules)
    town.answer(made)
    digest = town.fix(made, 1, weights(town))
    for capsule in capsules[:2]:
        assert isinstance(town.ask(capsule, town.sum(made, 1, digest)), SumAnswer)
    town.settle(made, 1)
    town.answer(made, 2)
    digest = town.fix(made, 2, weights(town, 0, 1, 2))
    for capsule in capsules:
        found = town.refusal(capsule, town.sum(made, 2, digest))
        assert found.code == "cohort"
        assert town.mines[3].address in found.problem
    town.settle(made, 2)
    town.answer(made, 3)
    digest = town.fix(made, 3, weights(town, 0, 1))  # two and two: nobody is alone
    for capsule in capsules:
        assert isinstance(town.ask(capsule, town.sum(made, 3, digest)), SumAnswer)


def test_weights_that_moved_are_refused_by_all(town: Town, capsules: list[Cap]) -> None:
    made = town.post(capsules)
    town.answer(made)
    digest = town.fix(made, 1, weights(town))
    assert isinstance(town.ask(capsules[0], town.sum(made, 1, digest)), SumAnswer)
    town.settle(made, 1)
    town.answer(made, 2)
    moved = weights(town) | {town.mines[1].address: 21}
    digest = town.fix(made, 2, moved)
    for capsule in capsules:
        found = town.refusal(capsule, town.sum(made, 2, digest))
        assert (found.code, "earlier sum" in found.problem) == ("cohort", True)


# ---- what the operator allows


def test_the_operator_s_policy_comes_on_top(
    town: Town, capsules: list[Cap], posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = capsules[0].means
    scientist = Address(town.scientist.address)

    def under(**rules: Any) -> Problem:
        service = {"questions_per_hour": rules.pop("questions_per_hour", 3600)}
        fields = Rules.model_validate({}).model_copy(update=rules)
        monkeypatch.setattr(means, "policy", Policy(service=Service(**service), policy=fields))
        request = town.functional(posted, 1, [(town.mines[3].address, 3, 0)], [secrets_vector(posted)])
        return town.refusal(capsules[0], request)

    assert under(bounties_refused=("0x" + posted.bounty.hex(),)).code == "policy"
    assert under(scientists=(OTHER,)).code == "policy"
    assert under(scientists_refused=(scientist,)).code == "policy"
    assert under(bits=2).code == "budget"
    assert under(bits_per_mine=2).code == "budget"
    assert under(questions_per_hour=1).code == "questions"


def secrets_vector(posted: Posted) -> list[int]:
    return spread(posted.plan, [secrets.randbelow(100) for _ in range(3)])


def test_a_request_that_would_take_too_long_is_refused(
    town: Town, capsules: list[Cap], posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = question(town, posted, 3)
    monkeypatch.setattr(functional, "MOST_DIGITS", 2 * places(posted.plan) - 1)
    found = town.refusal(capsules[0], request)
    assert (found.code, "products" in found.problem) == ("too-large", True)


@pytest.mark.parametrize("what", ["proof", "bits", "another cover", "sound"])
def test_a_later_round_s_key_is_checked_as_the_first(town: Town, capsules: list[Cap], what: str) -> None:
    made = town.post(capsules)
    town.answer(made)
    assert isinstance(town.ask(capsules[0], question(town, made)), FunctionalAnswer)
    other = Key(*Secret.generate(960 if what == "bits" else town.key.public.bits).primes())
    key = KeyManifest(
        bits=other.public.bits,
        n=other.public.to_bytes(),
        proof=town.key.proof if what == "proof" else other.proof,
    )
    town.store.put(key.to_bytes(), "dag-cbor")
    changes: dict[str, Any] = {"key": key.cid()}
    if what == "another cover":
        changes["cover"] = made.models[0].cover.model_copy(update={"bits": 513})
    first = made.models[0]
    made.models[0] = first.model_copy(update=changes)  # what the next one is made of
    town.settle(made, 1)
    made.models[0] = first
    honest, town.key = town.key, other if what == "sound" else town.key
    try:
        town.answer(made, 2)
        request = question(town, made, number=2)
        if what == "sound":
            assert isinstance(town.ask(capsules[0], request), FunctionalAnswer)
        else:
            assert town.refusal(capsules[0], request).code == "model"
    finally:
        town.key = honest
