"""Real campaigns, verified: whatever became of a round, what the contract paid is what we work out again."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar.chain.signatures import sign_digest
from sonar.home.settlement import Settlement
from sonar.ports import Store
from sonar.protocol.events import MinePaid, RoundSettled
from sonar.protocol.fold import RoundRecord, fold
from sonar.protocol.ids import Address, Cid, hex32, parse_bytes32
from sonar.protocol.phase import Terms
from sonar.telling.verdicts import BountyVerified
from sonar.verifying.findings import Findings
from sonar.verifying.payments import Purse, check
from sonar.verifying.reading import posted_as, verify
from tests.audited_kit import false, kinds
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import CapsuleWorld


class Signs:
    """A settler that signs whatever it is asked for."""

    def __init__(self, account: LocalAccount) -> None:
        self.account = account

    def signature(self, settlement: Settlement) -> bytes | None:
        return sign_digest(self.account, parse_bytes32(settlement.digest, "digest"))

    def place(self, settlement: Settlement) -> str:
        return str(settlement.round)


class Refuses(Signs):
    """One that never does."""

    def signature(self, settlement: Settlement) -> None:
        del settlement


def verified(world: World) -> BountyVerified:
    campaign = world.campaign()
    world.run_to_end(campaign)
    assert campaign.id is not None
    return verify(world.market, lambda: world.store, posted_as(world.market, hex32(campaign.id)))


def endings(told: BountyVerified) -> list[str]:
    return [one.ended for one in told.rounds[1:]]


def test_forfeits_and_a_failed_round_add_up(tmp_path: Path) -> None:
    world = World(tmp_path, mines=3)
    world.miners[0].mute = frozenset({1})
    for miner in world.miners[:2]:
        miner.absent = frozenset({2})
    told = verified(world)
    assert (told.result, endings(told)) == ("holds", ["settled", "failed", "settled"])
    assert kinds(told, "note") != []  # the mine that missed round 1 comes as a newcomer


def test_a_failed_last_round_and_one_without_commits_hold(tmp_path: Path) -> None:
    world = World(tmp_path, mines=3)
    for miner in world.miners:
        miner.absent, miner.mute = frozenset({3}), frozenset({2})
    told = verified(world)
    assert (told.result, endings(told)) == ("holds", ["settled", "failed", "failed"])


def test_an_overdue_bounty_pays_by_default_and_holds(tmp_path: Path) -> None:
    account: LocalAccount = Account.create()
    settings: dict[str, Any] = {"settler": account.address, "overdue_bps": 5_000}
    world = World(tmp_path, settings=settings, signing=Refuses(account))
    told = verified(world)
    assert (told.result, endings(told)) == ("holds", ["overdue"])
    assert [one.signed_by for one in told.rounds] == [[], []]


def test_an_account_that_settles_is_named(tmp_path: Path) -> None:
    account: LocalAccount = Account.create()
    world = World(tmp_path, settings={"settler": account.address, "rounds": 2}, signing=Signs(account))
    told = verified(world)
    assert (told.result, endings(told)) == ("holds", ["settled", "settled"])
    assert [one.signed_by for one in told.rounds[1:]] == [[Address(account.address)]] * 2
    assert (0, "settler") in kinds(told, "note")


def test_a_bounty_for_named_mines_holds(tmp_path: Path) -> None:
    accounts: list[LocalAccount] = [Account.create() for _ in range(5)]
    allowed = [account.address for account in accounts[2:]]
    world = World(tmp_path, accounts=accounts, settings={"rounds": 1, "allow": allowed})
    told = verified(world)
    assert told.result == "holds"
    assert told.rounds[1].held["record"] == 4 + len(world.events(MinePaid))  # each mine's place on the list


def test_a_campaign_behind_capsules_holds(tmp_path: Path) -> None:
    """With a mine that comes once, so that some are left out for the sake of privacy alone."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 3})
    world.miners[0].absent = frozenset({2})
    told = verified(world)
    assert (told.result, endings(told), false(told)) == ("holds", ["settled"] * 3, [])
    assert told.rounds[0].held["posting"] >= 8 + len(world.capsules)  # each has signed its key
    assert all(one.held["cohort"] for one in told.rounds[1:])


def test_an_audited_campaign_holds_and_names_who_signed(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=6, settings={"rounds": 3}, audit=True)
    world.miners[3].absent = frozenset({2})  # so others stay out of a sum, and keep their fee
    told = verified(world)
    assert (told.result, endings(told), false(told)) == ("holds", ["settled"] * 3, [])
    assert any("privacy: " in f.found for one in told.rounds for f in one.findings if f.kind == "note")
    members = [capsule.address for capsule in world.capsules]
    assert (told.auditors, told.threshold) == (members, 2)
    for one in told.rounds[1:]:
        assert len(one.signed_by) == 2
        assert set(one.signed_by) <= set(members)


def test_a_bounty_in_a_token_holds(tmp_path: Path) -> None:
    told = verified(World(tmp_path, token="plain", settings={"rounds": 1}))
    assert (told.result, false(told)) == ("holds", [])


class Rotten:
    """A store that does not look at hashes, of bytes some of which have turned."""

    def __init__(self, store: Store, dice: random.Random) -> None:
        self._store, self._dice = store, dice

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        data = bytearray(self._store.get(cid, max_bytes))
        for _ in range(self._dice.choice((0, 0, 1, 3))):
            data[self._dice.randrange(len(data))] = self._dice.randrange(256)
        return bytes(data[: self._dice.choice((len(data), len(data), self._dice.randrange(len(data) + 1)))])


def test_whatever_a_store_says_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    world = World(tmp_path, mines=3, settings={"rounds": 2})
    world.run_to_end(campaign := world.campaign())
    assert campaign.id is not None
    posted = posted_as(world.market, hex32(campaign.id))
    results = []
    for seed in range(30):
        rotten = cast("Store", Rotten(world.store, random.Random(seed)))
        results.append(verify(world.market, lambda rotten=rotten: rotten, posted).result)  # type: ignore[misc]
    assert results.count("false") > 20


# ---- one unit more or less


def records(world: World) -> tuple[Terms, list[RoundRecord]]:
    world.run_to_end(campaign := world.campaign())
    assert campaign.id is not None
    found = fold(world.market.events(0, bounty=campaign.id))
    return world.market.bounty(campaign.id).terms, [found[key] for key in sorted(found)]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Terms, RoundRecord]:
    """A round with a forfeit, in which a mine has all kinds of payment."""
    world = World(tmp_path_factory.mktemp("paid"), mines=3, settings={"rounds": 2})
    world.miners[0].mute = frozenset({1})
    terms, found = records(world)
    return terms, found[0]


def faults(terms: Terms, record: RoundRecord) -> list[str]:
    findings = Findings(record.round)
    check(findings, terms, Purse(terms.escrow_units, terms.initial_loss), record)
    return [finding.field for finding in findings.told("settled").findings]


def test_what_the_contract_paid_is_what_we_work_out(settled: tuple[Terms, RoundRecord]) -> None:
    assert faults(*settled) == []


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("name", ["stake_units", "fee_units", "reward_units", "forfeit_units"])
def test_a_unit_more_or_less_is_found(settled: tuple[Terms, RoundRecord], name: str, by: int) -> None:
    terms, record = settled
    mine = next(mine for mine, paid in record.paid.items() if paid.share_bps and paid.forfeit_units)
    event = record.paid[mine]
    paid = replace(event, **{name: getattr(event, name) + by})
    assert faults(terms, replace(record, paid={**record.paid, mine: paid})) == [f"{name} of {mine}"]


@pytest.mark.parametrize("name", ["paid_units", "escrow_units", "best_loss"])
def test_a_settlement_that_says_another_sum_is_found(settled: tuple[Terms, RoundRecord], name: str) -> None:
    terms, record = settled
    event = cast("RoundSettled", record.settled)
    other = replace(record, settled=replace(event, **{name: getattr(event, name) + 1}))
    assert faults(terms, other) == [{"paid_units": "paid", "escrow_units": "escrow"}.get(name, "best loss")]


def test_a_payment_for_nothing_and_one_that_is_missing_are_found(
    settled: tuple[Terms, RoundRecord],
) -> None:
    terms, record = settled
    mine, event = next(iter(record.paid.items()))
    stranger = Address("0x" + "99" * 20)
    more = replace(record, paid={**record.paid, stranger: replace(event, mine=stranger, share_bps=0)})
    assert faults(terms, more) == [f"payment of {stranger}"]
    fewer = {other: paid for other, paid in record.paid.items() if other != mine}
    assert f"payment of {mine}" in faults(terms, replace(record, paid=fewer))
