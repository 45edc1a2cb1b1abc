"""One lie of a node at a time, told to a mine or a scientist who would have believed it for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mine.work.state import Part
from pysonar.campaign.records import Cohort
from sonar.chain.contract import market as market_module
from sonar.chain.contract.reveals import Proof, proofs
from sonar.chain.rpc import Head
from sonar.errors import BlockMissing, RpcError
from sonar.protocol.events import Event, MinePaid, Revealed
from sonar.protocol.ids import Digest
from sonar.protocol.phase import EntryState, Status
from sonar.protocol.round import RoundState
from sonar.telling.progress import Done, Waiting
from tests.integration import campaign_kit
from tests.integration.mine_kit import World, run, terms
from tests.quick_chain import inside


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, quick=False)


@pytest.mark.parametrize("confirmations", [1, 3])
@pytest.mark.parametrize("late_s", [61, 130, 10**6])
def test_a_time_too_late_gives_up_neither_a_commit_nor_a_reveal(
    world: World, monkeypatch: pytest.MonkeyPatch, late_s: int, confirmations: int
) -> None:
    world.scientist.post(terms(rounds=1))
    nodes = [world.node(i, confirmations=confirmations) for i in range(2)]
    for status, state in ((Status.COMMIT, RoundState.IDLE), (Status.REVEAL, RoundState.COMMITTED)):
        while world.status() is not status:
            run(nodes, passes=1)
            world.advance(5)
        with monkeypatch.context() as patch:
            for node in nodes:
                patch.setattr(node._market, "head", later(node._market.head, late_s))
            for _ in range(5):
                run(nodes, passes=1)
                world.advance(1)
        assert [world.part(i, 1).state for i in range(2)] == [state] * 2
        nodes = [world.node(i, confirmations=confirmations) for i in range(2)]  # nor after a restart
        for _ in range(4):
            run(nodes, passes=1)
            world.advance(1)
    assert [world.part(i, 1).state for i in range(2)] == [RoundState.REVEALED] * 2


def later(head: Callable[[], Head], seconds: int) -> Callable[[], Head]:
    def told() -> Head:
        found = head()
        return found._replace(timestamp_s=found.timestamp_s + seconds)

    return told


@pytest.mark.parametrize("block", [10**4, 10**9])
def test_a_block_number_too_high_in_the_journal_wedges_nothing(world: World, block: int) -> None:
    """As a version before this one has written it down."""
    world.scientist.post()
    run([world.node(i) for i in range(3)])
    book = world.book(0)
    book.save(replace(world.part(0, 1), since_block=block))
    (joined,) = book.joined()
    book.join(replace(joined, block=block))
    world.scientist.settle()
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    assert world.part(0, 1).state is RoundState.PAID
    world.scientist.settle(loss=400_000)
    assert all(isinstance(result, Done) for result in run(nodes))


@pytest.mark.parametrize("given_up", [RoundState.SKIPPED, RoundState.FORFEIT])
def test_what_an_older_version_gave_up_is_taken_up_again_while_its_round_goes_on(
    world: World, given_up: RoundState
) -> None:
    world.scientist.post()
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    assert world.part(0, 1).state is RoundState.COMMITTED
    world.book(0).save(replace(world.part(0, 1), state=given_up, why="the reveal window is over"))
    world.advance(61)
    run([world.node(0), nodes[1]])
    assert world.part(0, 1).state is RoundState.REVEALED
    assert world.state().revealed == 2


def test_an_update_on_a_model_that_was_a_lie_is_made_anew(world: World) -> None:
    world.scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes[:1], passes=1)
    trained = replace(world.part(0, 1), state=RoundState.TRAINED)
    world.book(0).save(replace(trained, round=2))  # it was told of a round 2 that there was not
    run(nodes)
    world.scientist.settle()
    run(nodes)
    assert world.part(0, 2).model == world.state().model_digest != trained.model
    assert world.part(0, 2).state is RoundState.REVEALED


def test_a_part_in_a_round_that_never_came_does_not_keep_a_bounty_open(world: World) -> None:
    world.scientist.post(terms(rounds=1))
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    world.book(0).save(Part(world.scientist.bounty, 7, RoundState.COMMITTING))
    world.scientist.settle()
    assert all(isinstance(result, Done) for result in run(nodes))
    assert world.part(0, 7).state is RoundState.SKIPPED


def test_a_record_that_leaves_something_out_is_asked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.scientist.post(terms(rounds=2))
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    world.scientist.settle()
    events, me = nodes[0]._market.events, world.address(0)
    for lacks in (Revealed, MinePaid, (Revealed, MinePaid)):

        def left_out(*asked: Any, lacks: Any = lacks, **named: Any) -> list[Event]:
            there = events(*asked, **named)
            return [event for event in there if not (isinstance(event, lacks) and event.mine == me)]

        with monkeypatch.context() as patch:
            patch.setattr(nodes[0]._market, "events", left_out)
            run(nodes, passes=1)
        assert world.part(0, 1).state is RoundState.REVEALED
        world.advance(1)
    assert world.part(0, 2).state in (RoundState.COMMITTED, RoundState.REVEALED)  # which does not wait
    run(nodes, passes=1)
    assert world.part(0, 1).state is RoundState.PAID


def test_who_committed_late_does_not_read_the_chain_from_its_beginning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' commits lie before its own; on a fast chain the contract's first block lies far back. And
    not even from the posting on while a reveal is urgent.
    """
    monkeypatch.setattr(market_module, "REORG_BLOCKS", 0)
    world.scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    head, (joined,) = world.market().head().number, world.book(0).joined()
    world.book(0).save(replace(world.part(0, 1), since_block=head))
    world.scientist.settle()
    node, asked = world.node(0), list[int]()
    events = node._market.events

    def events_of(first: int, last: int, bounty: Any = None, **named: Any) -> list[Event]:
        if bounty is not None:
            asked.append(first)
        return events(first, last, bounty, **named)

    monkeypatch.setattr(node._market, "events", events_of)
    with monkeypatch.context() as patch:
        patch.setattr(node._urgency, "allows", lambda seconds: False)
        run([node], passes=2)
    assert min(asked) == head
    assert world.part(0, 1).state is RoundState.REVEALED
    run([node])
    assert world.part(0, 1).state is RoundState.PAID
    assert min(asked) == joined.block > node._market.deployed_block


def test_a_closed_bounty_is_left_when_its_record_says_so_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes, passes=2)
    bounty = nodes[0]._market.bounty
    with monkeypatch.context() as patch:
        patch.setattr(nodes[0]._market, "bounty", lambda *at, **by: replace(bounty(*at, **by), closed=True))
        run(nodes[:1], passes=2)
    assert not world.book(0).joined()[0].over
    world.advance(5)
    run(nodes)
    assert world.status() is Status.SETTLE


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("claim", [False, True])
def test_a_node_without_old_records_does_not_keep_the_money(
    world: World, monkeypatch: pytest.MonkeyPatch, claim: bool, refuses: bool
) -> None:
    world.scientist.post(terms(rounds=1))
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    world.scientist.settle()
    node = world.node(0, claim=claim, join_all=False)

    def pruned(*_which: Any) -> list[Event]:
        if refuses:
            raise RpcError("eth_getLogs: pruned history unavailable", code=4444)
        return []

    owed = world.market().withdrawable(world.address(0))
    assert owed
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "events", pruned)
        patch.setattr(node, "_paused", lambda _bounty: None)
        run([node])
    (told,) = [problem for problem in world.problems() if "mine claim" in problem.hint]
    assert "takes out your money without them" in told.hint
    assert not world.book(0).joined()[0].over
    assert world.market().withdrawable(world.address(0)) == (0 if claim else owed)
    assert isinstance(run([world.node(0, claim=True)])[0], Done)  # with another node, all is as ever
    assert world.part(0, 1).state is RoundState.PAID
    assert world.market().withdrawable(world.address(0)) == 0


def test_a_block_that_the_node_keeps_no_longer_is_told_in_plain_words_and_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who joins late, with data that take long to sum, comes back when Anvil has forgotten its block."""
    world.scientist.post()
    node = world.node(0)
    read, refused = node._market.rpc.data, list[Any]()

    def forgotten(method: str, *params: Any, what: str = "") -> bytes:
        if len(params) > 1 and params[1] != "latest" and not refused:
            refused.append(params)
            raise RpcError("eth_call: BlockOutOfRangeError: block height is 301 but requested was 1")
        return read(method, *params, what=what)

    monkeypatch.setattr(node._market.rpc, "data", forgotten)
    assert "does not have block" in node.tick().what
    assert world.problems() == []
    world.advance(1)
    node.tick()
    assert world.part(0, 1).state is not RoundState.IDLE
    refused.clear()
    with pytest.raises(BlockMissing, match="any more, or not yet"):
        node._market.bounty(world.scientist.bounty, at=node._market.head())


# ---- towards the scientist


@pytest.fixture
def campaigning(tmp_path: Path) -> campaign_kit.World:
    return campaign_kit.World(tmp_path, settings={"rounds": 1}, quick=False)


def test_no_cohort_is_taken_by_a_time_too_late(
    campaigning: campaign_kit.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three have revealed, and the third has time."""
    world, campaign = campaigning, campaigning.campaign()
    slow = world.miners[2]
    slow.mute = frozenset({1})
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 2)
    with monkeypatch.context() as patch:
        patch.setattr(world.market, "head", later(world.market.head, world.window_s))
        for _ in range(3):
            assert isinstance(campaign.tick(), Waiting)
    assert campaign.records.get(Cohort, 1) is None
    slow.mute = frozenset()
    world.run(campaign)
    assert len(campaign.history()[0]["shares_bps"]) == 3
    assert campaign.history()[0]["left_out"] == {}
    world.check_money()


def test_digests_that_do_not_open_their_seals_are_not_summed(
    campaigning: campaign_kit.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, campaign = campaigning, campaigning.campaign()
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    events = world.market.events

    def other(*asked: Any, **named: Any) -> list[Event]:
        return [
            replace(event, update_digest=Digest(b"?" * 32)) if isinstance(event, Revealed) else event
            for event in events(*asked, **named)
        ]

    reveals = {event.mine: event for event in world.events(Revealed)}
    assert set(proofs(world.market, reveals, world.market.head()).values()) == {Proof.OPENS}
    with monkeypatch.context() as patch:
        patch.setattr(world.market, "events", other)
        waiting = campaign.tick()
        assert isinstance(waiting, Waiting)
        assert "to be confirmed" in waiting.what
        told = {event.mine: event for event in world.events(Revealed)}
        assert set(proofs(world.market, told, world.market.head()).values()) == {Proof.WRONG}
    assert campaign.records.get(Cohort, 1) is None
    world.run(campaign)
    assert campaign.history()[0]["left_out"] == {}
    world.check_money()


def test_a_digest_that_cannot_be_proven_holds_a_round_up_for_some_blocks_only(
    campaigning: campaign_kit.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node does not tell of transactions, or a mine reveals through a contract of its own."""
    world, campaign = campaigning, campaigning.campaign()
    monkeypatch.setitem(inside(world.chain).methods, "eth_getTransactionByHash", lambda _: None)
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    opened_at = world.market.head().number
    world.run_until(campaign, lambda: campaign.records.get(Cohort, 1) is not None)
    assert world.market.head().number - opened_at < 10
    world.run(campaign)
    assert campaign.history()[0]["left_out"] == {}


def test_a_mines_own_contract_cannot_keep_a_round_from_being_settled(
    campaigning: campaign_kit.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told one digest, in what looks like a reveal, and reveals another."""
    world, campaign = campaigning, campaigning.campaign()
    genuine = inside(world.chain).methods["eth_getTransactionByHash"]

    def through_another(params: list[Any]) -> Any:
        found = genuine(params)
        data = found["input"][:-1] + ("0" if found["input"][-1] != "0" else "1")
        return {**found, "to": "0x" + "77" * 20, "input": data}

    monkeypatch.setitem(inside(world.chain).methods, "eth_getTransactionByHash", through_another)
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    reveals = {event.mine: event for event in world.events(Revealed)}
    assert set(proofs(world.market, reveals, world.market.head()).values()) == {Proof.UNKNOWN}
    world.run(campaign)
    assert campaign.history()[0]["ended"] == "settled"
    assert campaign.history()[0]["left_out"] == {}


def test_a_settlement_that_only_a_receipt_tells_of_is_made_anew(
    campaigning: campaign_kit.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node swallows it, and answers a receipt; the account's count is one too high as well."""
    world, campaign = campaigning, campaigning.campaign()
    world.run_until(campaign, lambda: len(world.events(Revealed)) == 3)
    methods = inside(world.chain).methods
    assert world.market.status(campaign.id, world.market.head()) is Status.SETTLE  # type: ignore[arg-type]
    honest = dict(methods)
    head = inside(world.chain)._head()
    receipt = {
        "blockNumber": hex(head.block_number),
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "status": "0x1",
        "logs": [],
    }
    sent: list[str] = []

    def swallow(params: list[Any]) -> str:
        sent.append(params[0])
        return "0x" + "00" * 32

    lie: dict[str, Any] = {
        "eth_sendRawTransaction": swallow,
        "eth_getTransactionReceipt": lambda p: receipt | {"transactionHash": p[0]},
        "eth_getTransactionCount": lambda p: hex(int(honest["eth_getTransactionCount"](p), 16) + bool(sent)),
    }
    methods.update(lie)  # type: ignore[attr-defined]
    campaign.tick()
    assert sent
    methods.update(honest)  # type: ignore[attr-defined]
    world.run(campaign)
    assert campaign.history()[0]["ended"] == "settled"
    world.check_money()


def test_an_entry_tells_what_the_record_of_the_newest_round_must_say(world: World) -> None:
    world.scientist.post()
    run([world.node(i) for i in range(3)])
    market = world.market()
    entry = market.entry(world.scientist.bounty, world.address(0), at=market.head())
    assert (entry.round, entry.state) == (1, EntryState.REVEALED)
