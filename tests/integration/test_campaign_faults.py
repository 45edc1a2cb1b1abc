"""Stores and nodes that fail while a campaign runs: the round is settled in time, and nobody honest pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from pysonar.campaign.records import Cohort, Finished
from sonar.chain.contract.calls import Call, transfer
from sonar.chain.contract.errors import NothingToWithdraw, UnknownBounty
from sonar.chain.contract.market import REORG_BLOCKS
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import (
    ChainUnavailable,
    ConfigError,
    DigestMismatch,
    EnvironmentFault,
    RpcError,
    StoreUnavailable,
)
from sonar.home.journal import Journal
from sonar.protocol.events import BountyClosed, BountyPosted, MinePaid, Revealed, RoundSettled, Withdrawn
from sonar.protocol.ids import ETHER, Address, Cid
from sonar.protocol.phase import CloseReason, Status
from sonar.settling.verdict import Verdict
from sonar.store.folder import FolderStore
from sonar.store.mend import LOOK_S
from sonar.telling.progress import Done, Problem, Waiting
from tests.chain_kit import Clock, wish
from tests.integration.campaign_kit import World


class Instead:
    """A part with one method replaced; `real` is its own."""

    def __init__(self, part: Any, method: str, replacement: Callable[..., Any]) -> None:
        self._part, self._method, self._replacement = part, method, replacement

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real
        return lambda *args, **named: self._replacement(real, *args, **named)


def is_manifest_of(world: World, index: int, cid: Cid) -> bool:
    """Whether `cid` names a mine's update of round 1."""
    ready = world.miners[index].ready
    return 1 in ready and cid == Cid("dag-cbor", ready[1][0])


def test_one_update_that_the_store_cannot_give_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """As where a store times out on bytes that nobody has: a mine could do it on purpose."""
    world = World(tmp_path, settings={"rounds": 1})

    def get(real: Any, cid: Cid, max_bytes: int) -> bytes:
        if is_manifest_of(world, 0, cid):
            raise StoreUnavailable("timed out")
        return bytes(real(cid, max_bytes))

    campaign = world.campaign(lambda part, name: Instead(part, "get", get) if name == "store" else part)
    world.run(campaign)
    (line,) = campaign.history()
    assert line["ended"] == "settled"
    assert list(line["left_out"]) == [world.miners[0].address]
    world.check_money()


def test_a_store_that_is_down_leaves_nobody_out(tmp_path: Path) -> None:
    world, down = World(tmp_path, settings={"rounds": 1}), True

    def get(real: Any, cid: Cid, max_bytes: int) -> bytes:
        if down and world.events(Revealed):
            raise StoreUnavailable("down")
        return bytes(real(cid, max_bytes))

    campaign = world.campaign(lambda part, name: Instead(part, "get", get) if name == "store" else part)
    with pytest.raises(StoreUnavailable):
        world.run(campaign)
    world.move(world.window_s - 3)  # past the time at which what is missing is left out
    with pytest.raises(StoreUnavailable):
        campaign.tick()
    down = False
    world.run(campaign)
    assert campaign.history()[0]["left_out"] == {}
    world.check_money()


def test_a_damaged_copy_is_not_held_against_its_mine(tmp_path: Path) -> None:
    world, damaged = World(tmp_path, settings={"rounds": 1}), 3

    def get(real: Any, cid: Cid, max_bytes: int) -> bytes:
        nonlocal damaged
        if damaged and is_manifest_of(world, 1, cid):
            damaged -= 1
            raise DigestMismatch(cid.digest.hex(), "00")
        return bytes(real(cid, max_bytes))

    campaign = world.campaign(lambda part, name: Instead(part, "get", get) if name == "store" else part)
    world.run(campaign)
    assert damaged == 0
    assert campaign.history()[0]["left_out"] == {}


def delete(block: Path) -> None:
    block.unlink()


def overwrite(block: Path) -> None:
    block.write_bytes(b"junk")


def swell(block: Path) -> None:
    block.write_bytes(block.read_bytes() + b"junk")


@pytest.mark.parametrize("damage", [delete, overwrite, swell])
def test_what_mines_read_is_put_again_where_the_store_has_lost_or_spoilt_it(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """In the first round: key, model, weights, allow-list; in the second, also those of the settlement."""
    accounts = [Account.create() for _ in range(5)]
    allow = [Address(account.address) for account in accounts[2:]]
    world = World(tmp_path, accounts=accounts, settings={"rounds": 2, "allow": allow})
    world.store = FolderStore(tmp_path / "store")
    campaign, blocks = world.campaign(), tmp_path / "store" / "blocks"
    for round_number in (1, 2):
        campaign.tick()
        while campaign.records.finished() < round_number - 1:
            world.let_mines_act(campaign)
            world.move()
            campaign.tick()
        before = {path: path.read_bytes() for path in blocks.glob("*/*")}
        for path in before:
            damage(path)
        world.move(LOOK_S)
        campaign.tick()
        restored = {path for path, data in before.items() if path.exists() and path.read_bytes() == data}
        assert len(restored) == 4 + 3 * (round_number - 1)
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled", "settled"]
    assert sum("stored them again" in str(event) for event in world.sink.events) == 2
    world.check_money()


def test_ether_that_is_short_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """As in a spike of the gas price. It is told once, and what came in between is sent in time."""
    world = World(tmp_path, settings={"rounds": 1})
    campaign, me = world.campaign(), Address(world.scientist.address)
    campaign.tick()
    outboxes = [
        Outbox(world.market, account, Journal(tmp_path / f"{account.address}.sqlite"), sleep=lambda _s: None)
        for account in (world.scientist, world.deployer)
    ]
    outboxes[0].perform(
        wish("away"), transfer(Address(world.deployer.address), world.market.ether(me) - 5 * 10**13)
    )
    for _ in range(3):
        world.let_mines_act(campaign)
    waits = []
    for _ in range(3):
        waits.append(campaign.tick())
        world.move()
    ends = waits[0].until_s  # type: ignore[union-attr]
    assert waits == [Waiting("ether to pay for the settlement of round 1", ends)] * 3
    assert ends
    (problem,) = [event for event in world.sink.events if isinstance(event, Problem)]
    assert me in problem.error
    outboxes[1].perform(wish("back"), transfer(me, 10**18))
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"]
    world.check_money()


def test_a_node_that_lags_or_limits_requests_is_asked_again(tmp_path: Path) -> None:
    """Every third answer about events is an error, every third is empty: `drive` goes on after each."""
    world, asked = World(tmp_path, settings={"rounds": 2}), 0
    real = world.market.events

    def events(*args: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked % 3 == 1:
            raise RpcError("eth_getLogs: limit exceeded", code=-32005)
        return [] if asked % 3 == 2 else real(*args, **named)

    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.get(Cohort, 1) is not None)
    world.market.events = events  # type: ignore[method-assign]
    for _ in range(2000):
        try:
            if isinstance(campaign.tick(), Done):
                break
        except ChainUnavailable:
            pass
        world.let_mines_act(campaign)
        world.move()
    world.market.events = real  # type: ignore[method-assign]
    assert [line["ended"] for line in campaign.history()] == ["settled", "settled"]
    world.check_money()


@pytest.mark.parametrize("pruned", [False, True])
def test_the_open_round_does_not_wait_for_the_record_of_an_old_one(tmp_path: Path, pruned: bool) -> None:
    """The node leaves out how round 1 ended, or refuses all blocks of before."""
    world, campaign = (made := World(tmp_path)), made.campaign()
    real = world.market.events

    def events(*asked: Any, **named: Any) -> Any:
        found, first = real(*asked, **named), asked[0]
        ended = [event.block for event in real(0) if isinstance(event, RoundSettled) and event.round == 1]
        if pruned and ended and first < ended[0] - REORG_BLOCKS:
            raise RpcError("eth_getLogs: pruned history unavailable", code=4444)
        return [event for event in found if getattr(event, "round", 0) != 1 or not ended]

    world.market.events = events  # type: ignore[method-assign]
    for _ in range(500):
        try:
            campaign.tick()
        except ChainUnavailable as unavailable:
            lacking = str(unavailable)
            break
        world.let_mines_act(campaign)
        world.move()
    (closed,) = [event for event in real(0) if isinstance(event, BountyClosed)]
    assert closed.reason is CloseReason.LAST_ROUND  # all were settled, in time
    assert ("pruned" if pruned else "no whole record yet of how") in lacking
    (told,) = [event for event in world.sink.events if isinstance(event, Problem)]
    assert told.error == lacking
    assert campaign.records.finished() == 0
    me = Address(world.scientist.address)  # what no mine earned has come back all the same
    assert [e.account for e in real(0) if isinstance(e, Withdrawn)] == [me]
    assert world.market.withdrawable(me) == 0
    with pytest.raises(EnvironmentFault, match="nothing is trained"):  # it is no older copy, for all that
        _ = campaign.model
    world.market.events = real  # type: ignore[method-assign]
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert len(campaign.payouts()) == 3
    assert campaign.model.loss < world.bounty.initial_loss
    world.check_money()


class Killed(BaseException):
    """The process ends here."""


def test_a_reveal_that_a_reorganisation_drops_does_not_keep_a_round_from_settling(tmp_path: Path) -> None:
    """The last mine's reveal is in a block that the campaign acts on, and that is not in the chain later."""
    world = World(tmp_path, mines=4, settings={"rounds": 2})
    dropped = world.miners[3]
    dropped.mute = frozenset({1})

    def submit(real: Any, intent: Intent, call: Any) -> None:
        if (intent.action, intent.round) == (Action.SETTLE, 1):
            raise Killed
        real(intent, call)

    campaign = world.campaign(
        lambda part, name: Instead(part, "submit", submit) if name == "outbox" else part
    )
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    market = world.market
    orphan = replace(world.events(Revealed)[0], mine=dropped.address, update_digest=dropped.ready[1][0])
    for data, codec in zip(dropped.ready[1][2], ("raw", "dag-cbor"), strict=True):
        world.store.put(data, codec)  # type: ignore[arg-type]
    bounty, events = market.bounty, market.events

    def with_orphan(*args: Any, **named: Any) -> Any:
        found = events(*args, **named)
        return [*found, orphan] if any(isinstance(e, Revealed) for e in found) else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "events", with_orphan)
        patch.setattr(market, "bounty", lambda *args: replace(bounty(*args), revealed=4))
        patch.setattr(market, "status", lambda *_: Status.SETTLE)
        waiting = campaign.tick()
        assert isinstance(waiting, Waiting)
        assert "the reveals of round 1 to be confirmed" in waiting.what  # the contract holds no such reveal
        patch.setattr("pysonar.campaign.settling.proofs", lambda *_: {})
        with pytest.raises(Killed):
            campaign.tick()
    assert campaign.records.get(Verdict, 1).accepted == sorted(
        (m.address for m in world.miners), key=lambda mine: int(mine, 16)
    )
    again = world.campaign()
    world.run(again)
    assert [line["ended"] for line in again.history()] == ["settled", "settled"]
    paid = [e for e in world.events(MinePaid) if e.round == 1]
    assert {e.mine for e in paid} == {m.address for m in world.miners[:3]}
    assert sum(e.share_bps for e in paid) == 10_000
    world.check_money()


def test_a_reorganisation_that_swaps_one_reveal_for_another_does_not_either(tmp_path: Path) -> None:
    """The round has as many reveals as before, of another cohort."""
    world = World(tmp_path, mines=4, settings={"rounds": 1})
    swapped = world.miners[3]
    swapped.mute = frozenset({1})

    def submit(real: Any, intent: Intent, call: Any) -> None:
        if (intent.action, intent.round) == (Action.SETTLE, 1):
            raise Killed
        real(intent, call)

    campaign = world.campaign(
        lambda part, name: Instead(part, "submit", submit) if name == "outbox" else part
    )
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    there = world.events(Revealed)[0]
    orphan = replace(there, mine=swapped.address, update_digest=swapped.ready[1][0])
    for data, codec in zip(swapped.ready[1][2], ("raw", "dag-cbor"), strict=True):
        world.store.put(data, codec)  # type: ignore[arg-type]
    world.move(2 * world.window_s - (world.chain.now_s - world.market.bounty(there.bounty).opened_s))
    events = world.market.events
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            world.market,
            "events",
            lambda *args, **named: [orphan if e == there else e for e in events(*args, **named)],
        )
        assert isinstance(campaign.tick(), Waiting)  # the contract holds no such reveal
        patch.setattr("pysonar.campaign.settling.proofs", lambda *_: {})
        with pytest.raises(Killed):
            campaign.tick()
    again = world.campaign()
    world.run(again)
    assert [line["ended"] for line in again.history()] == ["settled"]
    shares = {e.mine: e.share_bps for e in world.events(MinePaid)}
    assert set(shares) == {m.address for m in world.miners[:3]}
    assert shares[there.mine] == 0  # its update is not in the aggregate
    assert sum(shares.values()) == 10_000
    world.check_money()


def test_a_round_that_a_reorganisation_moves_to_earlier_blocks_is_found_there(tmp_path: Path) -> None:
    """As where a node is killed: what it mined since its last state comes back in fewer blocks, and lower."""
    world = World(tmp_path, settings={"rounds": 2})
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    finished = campaign.records.get(Finished, 1)
    campaign.records.put(replace(finished, block=finished.block + 40), 1)
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled", "settled"]
    world.check_money()


def test_a_bounty_that_is_there_already_is_gone_on_with(tmp_path: Path) -> None:
    """The journal knows what to post, and not that it was posted."""
    world = World(tmp_path, settings={"rounds": 1})

    def outcome(real: Any, intent: Intent) -> None:
        raise Killed

    killed = world.campaign(
        lambda part, name: Instead(part, "outcome", outcome) if name == "outbox" else part
    )
    with pytest.raises(Killed):
        killed.tick()
    (posted,) = world.events(BountyPosted)
    with Journal(tmp_path / "pysonar.sqlite") as journal:
        journal.delete(Intent.of_posting(world.bounty.settings.name).key)
    again = world.campaign()
    world.run_until(again, lambda: again.id is not None)
    assert again.id == posted.bounty
    assert again.records.bounty() == (posted.bounty, posted.block)
    assert len(world.events(BountyPosted)) == 1


def test_a_node_from_before_the_posting_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where several nodes behind one address take turns, and one of them is behind."""
    world = World(tmp_path, settings={"rounds": 1})
    campaign, before = world.campaign(), world.market.head()
    world.run_until(campaign, lambda: campaign.id is not None)
    with monkeypatch.context() as patch:
        patch.setattr(world.market, "head", lambda: before)
        with pytest.raises(ChainUnavailable, match="the bounty was posted in block"):
            campaign.tick()
    world.run(campaign)
    world.check_money()


def test_a_node_that_answers_from_an_older_block_than_it_is_asked_for_is_asked_again(tmp_path: Path) -> None:
    """Some do, without a word. A chain that has no record of the bounty is another one."""
    world, clock = World(tmp_path, settings={"rounds": 1}), Clock()
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "_monotonic", clock)
        patch.setattr(world.market, "bounty", lambda bounty, _head: throw(UnknownBounty(bounty)))
        with pytest.raises(ChainUnavailable, match="has records of the bounty, but does not know it"):
            campaign.tick()
        patch.setattr(world.market, "events", lambda *_: [])
        with pytest.raises(ChainUnavailable, match="this chain does not know the bounty"):
            campaign.tick()  # what one node says may be a lie for a while
        clock.now_s += world.bounty.terms.settle_window_s / 4
        with pytest.raises(ConfigError, match="this chain does not know the bounty"):
            campaign.tick()
    world.run(campaign)
    world.check_money()


def throw(error: Exception) -> Any:
    raise error


def test_a_node_that_is_behind_the_last_settlement_does_not_cost_the_withdrawal(tmp_path: Path) -> None:
    world, behind = World(tmp_path, settings={"rounds": 1}), True

    def submit(real: Any, intent: Intent, call: Call) -> None:
        nonlocal behind
        if call.name == "withdraw" and behind:
            behind = False
            raise NothingToWithdraw(ETHER, Address(world.scientist.address))
        real(intent, call)

    campaign = world.campaign(
        lambda part, name: Instead(part, "submit", submit) if name == "outbox" else part
    )
    world.run(campaign)
    assert not behind
    world.check_money()
