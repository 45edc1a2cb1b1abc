"""Whole campaigns behind three capsules, with the program's own service: what they train and pay, and what
one capsule that fails or lies can do.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from capsule.home.policy import Policy, Rules
from pysonar.campaign.opening import cover_in
from pysonar.campaign.records import Finished, Posting
from sonar.chain.contract.committee import is_committee
from sonar.errors import CapsulesDiffer, CapsuleUnavailable, ConfigError, EnvironmentFault, InsufficientFunds
from sonar.manifests.capsule import FunctionalAnswer, SumAnswer
from sonar.manifests.model import VeilCover
from sonar.protocol.events import BountyPosted, CohortFixed, RoundSettled
from sonar.protocol.ids import Address
from sonar.settling.selection import ANOTHER
from sonar.settling.verdict import SPARED
from sonar.veil.envelopes import EnvelopeKey
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import CapsuleWorld

ROUNDS = {"rounds": 3}


def test_models_and_payments_are_those_without_capsules(tmp_path: Path) -> None:
    plain = World(tmp_path / "plain", mines=4, settings=ROUNDS)
    alone = plain.campaign()
    plain.run(alone)
    world = CapsuleWorld(tmp_path / "veiled", mines=4, settings=ROUNDS, accounts=plain.accounts)
    campaign = world.campaign()
    world.run(campaign)
    assert campaign.model.weights.tolist() == alone.model.weights.tolist()
    assert [line["loss"] for line in campaign.history()] == [line["loss"] for line in alone.history()]
    assert len(world.events(CohortFixed)) == len(world.events(RoundSettled)) == 3
    for line, other in zip(campaign.history(), alone.history(), strict=True):
        ours, theirs = line["shares_bps"], other["shares_bps"]
        assert max(abs(ours[mine] - theirs[mine]) for mine in theirs) <= 10
    world.check_money()


def test_a_round_is_settled_in_the_pass_that_fixes_its_cohort(tmp_path: Path) -> None:
    """Where a transaction is mined at once, no poll comes between the two."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1})
    campaign, passes = world.campaign(), 0
    while not world.events(CohortFixed):
        campaign.tick()
        world.let_mines_act(campaign)
        passes += 1
        assert passes < 20
    assert len(world.events(RoundSettled)) == 1


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """What three rounds of four mines train, whatever capsules do."""
    world = World(tmp_path_factory.mktemp("plain"), mines=4, settings=ROUNDS)
    world.run(campaign := world.campaign())
    return [line["loss"] for line in campaign.history()]


@pytest.mark.parametrize("fails", ["killed", "hangs", "refuses"])
def test_one_of_three_that_fails_costs_nothing(tmp_path: Path, losses: list[int], fails: str) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    odd = world.capsules[1]
    if fails == "killed":
        odd.down = True
    elif fails == "hangs":
        odd.hung = threading.Event()
    else:
        odd.means.policy = Policy(policy=Rules.model_validate({"scientists": ["0x" + "1" * 40]}))
    world.run(campaign)
    if odd.hung is not None:
        odd.hung.set()
    assert [line["loss"] for line in campaign.history()] == losses
    world.check_money()


def much(body: bytes) -> bytes:
    told = SumAnswer.from_bytes(body)
    return told.model_copy(update={"sums": (bytes(len(told.sums[0])), *told.sums[1:])}).to_bytes()


def little(body: bytes) -> bytes:
    """One unit in the last place of one value: no test of the sum could see it."""
    told = SumAnswer.from_bytes(body)
    width = 128
    first = int.from_bytes(told.sums[0][:width]) - 1
    lie = first.to_bytes(width) + told.sums[0][width:]
    return told.model_copy(update={"sums": (lie, *told.sums[1:])}).to_bytes()


def another_test(body: bytes) -> bytes:
    told = FunctionalAnswer.from_bytes(body)
    (first, *classes), *rest = told.values
    return told.model_copy(update={"values": ((first ^ 1, *classes), *rest)}).to_bytes()


LIES = {"much": ("sum", much), "little": ("sum", little), "functional": ("functional", another_test)}


@pytest.mark.parametrize("lie", LIES)
def test_a_capsule_that_lies_stops_the_round_and_is_named(
    tmp_path: Path, losses: list[int], lie: str
) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS)
    campaign, liar = world.campaign(), world.capsules[0]
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    about, change = LIES[lie]
    liar.change = lambda kind, body: change(body) if kind == about else body
    with pytest.raises(CapsulesDiffer) as caught:
        world.run(campaign)
    assert sum(one.address in str(caught.value) for one in world.capsules) == 2
    assert liar.address in str(caught.value)
    liar.down = True  # whoever runs it stops it, and the two others suffice
    world.run(again := world.campaign())
    assert [line["loss"] for line in again.history()] == losses
    world.check_money()


def test_too_few_capsules_are_named_and_waited_for(tmp_path: Path, losses: list[int]) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    for one in world.capsules[:2]:
        one.down = True
    with pytest.raises(CapsuleUnavailable, match="1 of 3 capsules") as caught:
        world.run(campaign)
    assert isinstance(caught.value, EnvironmentFault)
    assert "run" in caught.value.hint
    for one in world.capsules[:2]:
        assert one.address in str(caught.value)
        one.start()
    world.run(campaign)
    assert [line["loss"] for line in campaign.history()] == losses


def test_nothing_is_asked_twice_after_a_restart(tmp_path: Path) -> None:
    """What was told is on record before it is used, so a capsule's budget is touched once."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1})
    killed = world.campaign(lambda part, name: KilledAt(part, "encrypt") if name == "key" else part)
    with pytest.raises(Killed):
        world.run(killed)  # the outcome is known, and not yet recorded in a publication
    asked = [list(one.asked) for one in world.capsules]
    for one in world.capsules:
        one.down = True
    world.run(campaign := world.campaign())
    assert [list(one.asked) for one in world.capsules] == asked
    assert [line["ended"] for line in campaign.history()] == ["settled"]


class Killed(BaseException):
    """The process ends here."""


class KilledAt:
    """A holder that ends the process before it does something again: for the posting it did it once."""

    def __init__(self, part: Any, method: str) -> None:
        self._part, self._method, self._calls = part, method, 0

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._calls += 1
            if self._calls > 1:
                raise Killed
        return getattr(self._part, name)


def test_a_mine_of_whom_too_few_know_the_seeds_is_left_out_and_no_other(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1})
    bad = world.miners[2]
    bad.spoilt = (0, 1)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert list(line["left_out"]) == [bad.address]
    assert line["left_out"][bad.address].startswith("test veil")
    assert line["loss"] < world.bounty.initial_loss


def test_an_envelope_that_one_capsule_cannot_open_costs_nobody_anything(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1})
    world.miners[2].spoilt = (1,)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert line["left_out"] == {}
    assert line["loss"] < world.bounty.initial_loss


def test_a_capsule_with_a_new_key_makes_an_unsent_posting_anew(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1, "reward": "1000 ether"})
    with pytest.raises(InsufficientFunds):
        world.campaign().tick()
    old = world.campaign().records.get(Posting)
    world.capsules[1].epoch, world.capsules[1].key = 2, EnvelopeKey.new()
    world.capsules[1].start()
    with pytest.raises(InsufficientFunds):
        world.campaign().tick()
    new = world.campaign().records.get(Posting)
    cover = cover_in(new)
    assert isinstance(cover, VeilCover)
    assert cover != cover_in(old)
    assert [member.epoch for member in cover.members] == [1, 2, 1]


@pytest.mark.parametrize("odd", ["down", "bits", "least"])
def test_a_capsule_that_cannot_serve_the_bounty_is_named_before_money_moves(tmp_path: Path, odd: str) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1})
    one = world.capsules[2]
    if odd == "down":
        one.down = True
    else:
        one.policy = Policy(policy=Rules.model_validate({"bits": 288} | {odd: 17}))
        one.start()
    before = world.market.ether(Address(world.scientist.address))
    campaign = world.campaign()
    with pytest.raises(CapsuleUnavailable if odd == "down" else ConfigError, match=one.address) as caught:
        campaign.tick()
    assert caught.value.hint
    assert world.market.ether(Address(world.scientist.address)) == before
    assert campaign.records.get(Posting) is None


@pytest.mark.parametrize("mines", [4, 8])
def test_an_audited_bounty_is_settled_by_the_capsules_signatures(tmp_path: Path, mines: int) -> None:
    """Its settler is their committee: each has recomputed every round before it signed.

    With eight, round 1 counts for nothing in the step of round 2, but for the last digits of floats.
    """
    world = CapsuleWorld(tmp_path, mines=mines, settings=ROUNDS, audit=True)
    campaign = world.campaign()
    world.run(campaign)
    (posted,) = world.events(BountyPosted)
    accounts = [one.address for one in world.capsules]
    assert is_committee(world.market, posted.terms.settler, accounts, 2) == ""
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert campaign.model.loss < world.bounty.initial_loss
    assert sum("settlement" in one.asked for one in world.capsules) == 2  # no more than must sign
    world.check_money()


def test_a_capsule_that_did_not_audit_yet_takes_the_place_of_one_that_is_gone(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS, audit=True)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    gone = next(one for one in world.capsules if "settlement" in one.asked)
    spare = next(one for one in world.capsules if "settlement" not in one.asked)
    gone.down = True
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert spare.asked.count("settlement") >= 2  # the first time it lacked the openings of round 1
    world.check_money()


def test_a_capsule_that_was_restored_in_a_round_does_not_stop_its_settlement(tmp_path: Path) -> None:
    """It was asked, and may not answer: so its silence is not the scientist's doing, and the others sign."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1}, audit=True)
    campaign, restored = world.campaign(), world.capsules[1]
    world.run_until(campaign, lambda: campaign.id is not None)
    restored.means.ledger.set_blind(10**12)
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"]
    assert "functional" in restored.asked
    world.check_money()


@pytest.mark.parametrize("restored", [False, True])
def test_a_capsule_that_was_away_and_is_back_does_not_stop_a_settlement(
    tmp_path: Path, restored: bool
) -> None:
    """Auditors reach it, and it was not asked: so it is asked now, and tells, or says that it cannot."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1}, audit=True)
    campaign, away = world.campaign(), world.capsules[1]
    world.run_until(campaign, lambda: campaign.id is not None)
    away.down = True

    def comes_back(kind: str, body: bytes) -> bytes:
        away.down = away.down and kind != "sum"
        return body

    world.capsules[0].change = comes_back
    if restored:
        away.means.ledger.set_blind(10**12)
    world.run(campaign)
    assert "sum" in away.asked  # though it was over when it came back
    assert [line["ended"] for line in campaign.history()] == ["settled"]
    world.check_money()


def test_who_is_left_out_for_others_privacy_alone_gets_its_fee(tmp_path: Path) -> None:
    """With seven of eight, two sums would differ by one mine; so the absent one has company, drawn by lot."""
    settings = {"rounds": 2, "min_mines": 3}
    world = CapsuleWorld(tmp_path, mines=8, settings=settings, audit=True)
    world.miners[0].absent = frozenset({2})
    campaign = world.campaign()
    world.run(campaign)
    first, second = campaign.history()
    assert first["left_out"] == {}
    assert [second["ended"], len(second["left_out"])] == ["settled", 2]
    assert set(second["left_out"].values()) == {SPARED}
    for mine in second["left_out"]:
        assert second["shares_bps"][mine] == 1
    payments = campaign.records.get(Finished, 2).payments
    fees = {paid["fee_units"] for mine, paid in payments.items() if second["shares_bps"][mine]}
    assert len(fees) == 1
    assert min(fees) > 0
    world.check_money()


def test_of_twins_one_address_is_in_the_sum_and_auditors_agree(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=5, settings={"rounds": 2}, audit=True)
    world.miners[4].index = world.miners[1].index  # the same rows under two addresses
    same = {world.miners[1].address, world.miners[4].address}
    campaign = world.campaign()
    world.run(campaign)
    first, second = campaign.history()
    assert first["ended"] == second["ended"] == "settled"
    assert first["left_out"] == second["left_out"]
    assert list(first["left_out"].values()) == [ANOTHER]
    assert same.issuperset(first["left_out"])
    world.check_money()


def test_what_the_archive_has_lost_is_opened_again_and_nobody_is_asked_again(
    tmp_path: Path, losses: list[int]
) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS)
    first = world.campaign()
    world.run_until(first, lambda: first.records.finished() == 2)
    (archive,) = world.key_path.parent.glob("*.opened")
    archive.unlink()
    told = {mine: one.told_bits for mine, one in first.revealed().items()}
    again = world.campaign()
    world.run_until(again, lambda: again.records.finished() == 3)
    assert [line["loss"] for line in again.history()] == losses
    rounds = {mine: one.told_bits - told[mine] for mine, one in again.revealed().items()}
    assert 0 < max(rounds.values()) < min(told.values())  # of one round, not of three


def test_a_capsule_that_comes_back_from_a_kill_answers_the_same(tmp_path: Path, losses: list[int]) -> None:
    """Each in turn is killed and started again, in the middle of what it is asked."""
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS, threshold=3)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    for number, one in enumerate(world.capsules, start=1):
        one.down = True
        with pytest.raises(CapsuleUnavailable, match="2 of 3"):
            world.run(campaign)
        one.start()
        world.run_until(campaign, lambda: campaign.records.finished() == number)  # noqa: B023 - used here only
    world.run(campaign)
    assert [line["loss"] for line in campaign.history()] == losses
