"""Mines on a real chain in this process, with a clock of the test's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from mine import setup
from mine.data import dataset as data
from mine.show.earnings import earnings, remembered
from mine.work import joining
from mine.work.state import Book
from mine.work.workshop import sums_at
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import RpcError, UsageError, WrongContract
from sonar.home.journal import Journal
from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.protocol.events import Committed, Event
from sonar.protocol.ids import BountyId, Cid, digest_of, hex32
from sonar.protocol.phase import Entry, EntryState, Status
from sonar.protocol.round import RoundState, is_final
from sonar.settling.verdict import SPARED
from sonar.store.memory import MemoryStore
from sonar.telling.progress import Done, Waiting
from sonar.telling.text import short
from tests.chain_kit import wish
from tests.integration.mine_kit import World, clear_update, run, slot_plan, terms


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_two_rounds_from_commit_to_withdrawal(world: World) -> None:
    scientist, store = world.scientist, world.store
    assert isinstance(store, MemoryStore)
    scientist.post()
    nodes = [world.node(i, claim=True) for i in range(3)]
    for round_number in (1, 2):
        waits = run(nodes)
        assert world.status() is Status.SETTLE
        assert {wait.what for wait in waits} == {f"the scientist to settle round {round_number}"}
        for digest in scientist.cohort(round_number).values():
            manifest, update = scientist.read_update(digest)
            index = [world.address(i) for i in range(3)].index(manifest.mine)
            clear = clear_update(world.home(index) / "data.csv")
            plain = scientist.key.unsafe_decrypt(update.ciphertexts)
            assert slot_plan().unpack(plain, weight=1) == clear
            assert store.pinned(Cid("dag-cbor", digest))
            assert all(map(store.pinned, manifest.blobs))
        before = [world.market().ether(world.address(i)) for i in range(3)]
        scientist.settle(loss=500_000 // round_number)
    assert all(isinstance(result, Done) for result in run(nodes))
    for round_number in (1, 2):
        for digest in scientist.cohort(round_number).values():
            assert not store.pinned(Cid("dag-cbor", digest))
            assert not any(map(store.pinned, scientist.read_update(digest)[0].blobs))
    for i in range(3):
        assert not list(world.home(i).glob("drafts/*"))
        assert not list(world.home(i).glob("sums/*"))
        assert [world.part(i, n).state for n in (1, 2)] == [RoundState.PAID, RoundState.PAID]
        assert world.market().withdrawable(world.address(i)) == 0
        assert world.market().ether(world.address(i)) > before[i]


def test_a_mine_counts_what_it_has_just_done_itself(world: World) -> None:
    """The bounty was read in the block before: "3 more mines" of three would be all, itself included."""
    world.scientist.post(terms(cohort_cap=3))
    nodes = [world.node(i) for i in range(3)]
    told = []
    for passes in range(4):
        for node in nodes[: 2 if passes < 2 else 3]:
            if isinstance(waiting := node.tick(), Waiting):
                told.append(waiting.what)
    waits = [each for each in told if "more mine" in each]
    assert waits[:2] == [
        "2 more mines to commit in round 1 (1 of at most 3 have)",
        "1 more mine to commit in round 1 (2 of at most 3 have)",
    ]
    revealed = [each for each in waits if "reveal" in each]
    assert revealed[0] == "2 more mines to reveal in round 1 (1 of 3 have)"
    assert not any("(0 of" in each for each in waits)
    assert not any(each.startswith("0 more") for each in waits)  # of the last one, whose reveal is unseen
    assert "the last commit of round 1 to be confirmed" in told


def test_waits_of_several_bounties_say_which(world: World) -> None:
    first = world.scientist.post(terms(cohort_cap=3))
    node = world.node(0)
    for _ in range(3):
        waiting = node.tick()
    assert isinstance(waiting, Waiting)
    assert "in bounty" not in waiting.what
    world.scientist.post(terms(cohort_cap=2))
    for _ in range(3):
        waiting = node.tick()
    assert isinstance(waiting, Waiting)
    assert waiting.what.endswith((f"in bounty {short(hex32(first))}", short(hex32(world.scientist.bounty))))


def evidence_of(world: World, members: list[CohortMember], **changes: Any) -> bytes:
    model = Cid("dag-cbor", world.state().model_digest)
    fields: dict[str, Any] = {
        "chain_id": world.market().chain_id,
        "contract": world.market().address,
        "bounty": world.scientist.bounty,
        "round": 1,
        "model": model,
        "new_model": model,
        "loss": 500_000,
        "best_loss": 500_000,
        "accepted_rows": sum(member.rows for member in members if member.accepted),
        "aggregate": None,
        "cohort": tuple(members),
    }
    return EvidenceManifest(**(fields | changes)).to_bytes()


def test_a_mine_that_is_left_out_for_privacy_alone_has_its_fee_and_hears_why(world: World) -> None:
    scientist = world.scientist
    scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    shares = {world.address(0): 1, world.address(1): 5_000, world.address(2): 4_999}
    members = [
        CohortMember(
            mine=mine,
            update=update,
            rows=40,
            accepted=mine != world.address(0),
            reason="" if mine != world.address(0) else SPARED,
            share_bps=shares[mine],
        )
        for mine, update in sorted(scientist.cohort(1).items(), key=lambda item: int(item[0], 16))
    ]
    evidence = evidence_of(world, members)
    world.store.put(evidence, "dag-cbor")
    scientist.settle(shares, evidence=digest_of(evidence))
    run(nodes)
    part = world.part(0, 1)
    assert (part.state, part.why) == (RoundState.PAID, f"left out: {SPARED}")
    assert part.paid["fee_units"] == world.state().terms.fee_units
    assert "it is paid its fee" in part.why
    assert not world.part(1, 1).why


@pytest.mark.parametrize(
    ("reason", "changes", "why"),
    [
        ("test curvature", {}, "left out: test curvature"),
        ("", {}, "it was counted, but did not improve the model"),
        ("test curvature", {"round": 2}, "the scientist's record is not of this round"),
        (None, {}, "the scientist's record of the round cannot be read: "),
    ],
)
def test_a_round_without_a_share_says_why(
    world: World, reason: str | None, changes: dict[str, Any], why: str
) -> None:
    scientist = world.scientist
    scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    shares = dict.fromkeys((world.address(i) for i in range(3)), 5_000) | {world.address(0): 0}
    members = [
        CohortMember(
            mine=mine,
            update=update,
            rows=40,
            accepted=bool(shares[mine]) or not reason,
            reason="" if shares[mine] else reason or "",
            share_bps=shares[mine],
        )
        for mine, update in sorted(scientist.cohort(1).items(), key=lambda item: int(item[0], 16))
    ]
    evidence = evidence_of(world, members, **changes)
    if reason is not None:
        world.store.put(evidence, "dag-cbor")
    scientist.settle(shares, evidence=digest_of(evidence))
    run(nodes)
    assert world.part(0, 1).state is RoundState.NO_SHARE
    assert world.part(0, 1).why.startswith(why)
    assert world.part(1, 1).state is RoundState.PAID
    assert not world.part(1, 1).why


def test_an_empty_pool_is_waited_for_when_it_takes_long_and_filled_while_idle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.scientist.post(terms(cohort_cap=2))
    monkeypatch.setattr("mine.work.pool.making_s", lambda _bits, count: 7.0 * count)
    monkeypatch.setattr("mine.work.pool.cores_allowed", lambda: 1)
    node = world.node(0)
    for _ in range(2):
        waiting = node.tick()
        assert isinstance(waiting, Waiting)
        assert waiting.what == (
            "1 of the 1 blindings that hide the update of round 1, about 7 s of idle time"
        )
        assert waiting.until_s is not None
        assert world.part(0, 1).state is RoundState.IDLE
    assert node.fill_pool()
    node.tick()
    assert world.part(0, 1).state in (RoundState.COMMITTING, RoundState.COMMITTED)
    assert [node.fill_pool() for _ in range(3)] == [True, True, False]  # for the next two updates


def test_with_nothing_joined_it_ends_where_it_should_and_waits_for_the_first_bounty_where_it_may_join(
    world: World,
) -> None:
    result = world.node(0, join_all=False).tick()
    assert isinstance(result, Done)
    assert "mine join" in result.what
    assert not isinstance(world.node(1).tick(), Done)


def test_a_chain_that_begins_anew_without_the_contract_ends_the_mine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever for bounties that are posted to the new chain's contract."""
    world = World(tmp_path, quick=False)
    node = world.node(0)
    node.tick()
    newest = node._market.head()
    monkeypatch.setattr(node._market, "head", lambda: newest._replace(number=newest.number - 1))
    node.tick()  # a node that lags, or a reorganisation
    monkeypatch.setattr(node._market, "head", lambda: newest._replace(number=newest.number - 2))
    monkeypatch.setattr(node._market, "code", lambda _: b"")
    monkeypatch.setattr(node._market, "deployed_block", 1)
    for _ in range(2):
        with pytest.raises(WrongContract, match="there is no code"):
            node.tick()


def test_a_full_cohort_skips_the_mine_that_is_late(world: World) -> None:
    world.scientist.post(terms(cohort_cap=2, rounds=1))
    run([world.node(0), world.node(1)])
    late = world.node(2)
    run([late])
    assert not is_final(world.part(2, 1).state)  # one head says so
    assert world.market().ether(world.address(2)) == 10**20
    world.scientist.settle()
    assert isinstance(run([late])[0], Done)
    assert world.part(2, 1).state is RoundState.SKIPPED
    assert world.part(2, 1).why == "the commit window is over"


def test_a_race_for_the_last_place_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.scientist.post(terms(cohort_cap=2, rounds=1))
    run([world.node(0)])
    second, third = world.node(1), world.node(2)
    head = world.chain.now_s
    stale = third._market.head()
    run([second], passes=1)
    with monkeypatch.context() as patch:
        patch.setattr(third._market, "head", lambda: stale)  # what a mine knows is always a little old
        waiting = third.tick()
    assert "commit of round 1" in waiting.what
    assert world.part(2, 1).state is RoundState.COMMITTING
    run([third])
    assert world.part(2, 1).state is RoundState.COMMITTING
    run([world.node(0), second])
    world.scientist.settle()
    run([third])
    assert world.part(2, 1).state is RoundState.SKIPPED
    assert not world.problems()
    assert world.market().ether(world.address(2)) == 10**20
    assert world.chain.now_s > head


def test_a_bounty_that_the_node_does_not_know_yet_is_joined_when_it_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of several nodes behind an address told of its posting, and another one lags."""
    world.scientist.post()
    node = world.node(0)
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "bounty", lambda asked, at=None: throw(UnknownBounty(asked)))
        node.tick()
    assert not world.book(0).joined()
    world.advance(1)
    node.tick()
    assert world.part(0, 1).state is not RoundState.IDLE


def test_a_bounty_in_blocks_that_a_node_lacked_is_joined_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several nodes take turns behind one address: the one that has the head, and one that is behind it."""
    node = world.node(0)
    node.tick()
    bounty = world.scientist.post()
    events = node._market.events
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "events", lambda first, last, **named: events(first, last - 3, **named))
        node.tick()
    assert world.book(0).joined() == []
    for _ in range(3):
        world.advance(1)
        node.tick()
    assert [joined.bounty for joined in world.book(0).joined()] == [bounty]
    assert not world.problems()


def throw(error: Exception) -> None:
    raise error


def test_a_window_that_passed_while_away_is_skipped(world: World) -> None:
    world.scientist.post()
    node = world.node(0)
    world.advance(59)
    assert "too little time is left in the commit window" in node.tick().what
    world.advance(61)
    assert "the commit window is over" in node.tick().what
    assert world.part(0, 1).state is RoundState.IDLE
    assert world.market().ether(world.address(0)) == 10**20


def test_a_failed_round_gives_the_stake_back(world: World) -> None:
    world.scientist.post(terms(min_mines=3, rounds=2))
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    world.advance(61)
    run(nodes)
    assert [world.part(i, 1).state for i in range(2)] == [RoundState.REVEALED] * 2
    assert world.status() is Status.FAILED
    world.advance(2)
    run(nodes)
    assert world.state().round == 2
    assert [world.part(i, 1).state for i in range(2)] == [RoundState.RETURNED] * 2
    for i in range(2):
        assert world.market().withdrawable(world.address(i)) == world.state().terms.stake_units
    assert [world.part(i, 2).state for i in range(2)] == [RoundState.COMMITTED] * 2


def test_an_overdue_scientist_pays_by_expiry(world: World) -> None:
    world.scientist.post(terms(rounds=2))
    nodes = [world.node(i, claim=True) for i in range(3)]
    run(nodes)
    world.advance(200)
    assert world.status() is Status.OVERDUE
    waits = run(nodes, passes=1)
    turns = sorted(wait.until_s or 0 for wait in waits if isinstance(wait, Waiting))
    assert turns == [world.chain.now_s + 2 + 3 * i for i in range(3)]
    world.advance(2)
    assert all(isinstance(result, Done) for result in run(nodes))
    assert world.status() is Status.CLOSED
    for i in range(3):
        assert world.part(i, 1).state is RoundState.PAID
        assert world.market().ether(world.address(i)) > 10**20 + 10**17


def test_a_reveal_that_comes_too_late_is_a_forfeit(world: World) -> None:
    world.scientist.post(terms(min_mines=2))
    nodes = [world.node(i) for i in range(2)]
    nodes[1].tick()
    for _ in range(3):
        nodes[0].tick()
    world.advance(61)
    run([nodes[0]])
    world.advance(61)
    run(nodes)
    assert world.part(0, 1).state is RoundState.REVEALED
    assert world.part(1, 1).state is RoundState.COMMITTED
    world.advance(3)
    run(nodes)
    assert world.part(0, 1).state is RoundState.RETURNED
    assert world.part(1, 1).state is RoundState.FORFEIT
    assert world.part(1, 1).why == "the reveal window is over"
    assert world.market().withdrawable(world.address(0)) == 2 * 10**16


def test_a_node_that_lacks_the_newest_blocks_does_not_make_a_forfeit_of_a_reveal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.scientist.post(terms(cohort_cap=2))
    other, node = world.node(1), world.node(0, confirmations=9)
    run([other, node])
    assert world.part(0, 1).state is RoundState.REVEALING
    events = node._market.events
    known_to = max(event.block for event in events(0) if isinstance(event, Committed))

    def known(first: int, _last: int, bounty: BountyId | None = None, **named: Any) -> list[Event]:
        return events(first, known_to, bounty, **named)

    world.scientist.settle()
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "events", known)
        node.tick()
    assert world.part(0, 1).state is RoundState.REVEALING
    for _ in range(8):
        world.advance(1)
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "events", known)
        node.tick()
    assert world.part(0, 1).state is RoundState.REVEALING
    assert "no whole record yet of how round 1 ended" in world.problems()[-1].error
    world.advance(1)
    node.tick()
    assert world.part(0, 1).state is RoundState.PAID


def test_a_withdrawal_is_done_when_it_is_confirmed_and_its_gas_is_counted(world: World) -> None:
    world.scientist.post(terms(rounds=1, cohort_cap=2))
    nodes = [world.node(0, claim=True, confirmations=3), world.node(1)]
    for _ in range(6):
        run(nodes, passes=2)
        world.advance(1)
    world.scientist.settle()
    (waiting,) = run(nodes[:1])
    assert "to be confirmed" in waiting.what
    world.advance(1)
    world.advance(1)
    (waiting,) = run(nodes[:1])
    assert "the withdrawal to be mined" in waiting.what
    assert world.market().withdrawable(world.address(0)) == 0
    world.advance(1)
    world.advance(1)
    assert isinstance(run(nodes[:1])[0], Done)
    logged = world.book(0).journal.events("transaction")
    assert [line.data["name"] for line in logged] == ["commit", "reveal", "withdraw"]


def test_a_bounty_is_not_left_while_its_commit_may_be_on_the_chain(world: World) -> None:
    world.scientist.post(terms(rounds=1))
    world.node(0, confirmations=3).tick()
    assert world.part(0, 1).state is RoundState.COMMITTING
    assert world.state().committed == 1
    with pytest.raises(UsageError, match="the stake in round 1 could be lost") as refused:
        setup.leave(world.book(0), hex32(world.scientist.bounty))
    assert "reveal first" in refused.value.hint
    others = [world.node(0, confirmations=3, join_all=False), world.node(1), world.node(2)]
    run(others)
    for _ in range(3):
        world.advance(1)
        run(others, passes=2)
    assert world.part(0, 1).state is RoundState.REVEALED
    assert setup.leave(world.book(0), hex32(world.scientist.bounty)) == hex32(world.scientist.bounty)


def test_one_block_without_its_commit_does_not_cost_a_mine_its_stake(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our commit fills the cohort; then the node tells of another block, which is replaced again."""
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0, confirmations=3), world.node(1)]
    run(nodes[::-1], passes=1)
    assert world.status() is Status.REVEAL
    assert world.part(0, 1).state is RoundState.COMMITTING
    with monkeypatch.context() as patch:
        patch.setattr(nodes[0]._market, "entry", lambda *_, at: Entry(0, EntryState.NONE, bytes(29)))
        world.advance(1)
        waiting = nodes[0].tick()
    assert waiting.what == "the outcome of the commit of round 1"
    world.advance(1)
    run(nodes)
    assert world.state().revealed == 2


def test_a_commit_that_a_reorganisation_took_back_is_looked_after_until_it_is_confirmed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cohort was full, the mine went on to its reveal, and then the commits were gone."""
    asked: list[Intent] = []

    def wrap(thing: Any, name: str) -> Any:
        if name == "outbox":
            outcome = thing.outcome

            def told(intent: Intent) -> Any:
                asked.append(intent)
                return outcome(intent)

            thing.outcome = told
        return thing

    bounty = world.scientist.post(terms(cohort_cap=2))
    other, node = world.node(1), world.node(0, confirmations=30, wrap=wrap)
    run([other, node], passes=2)
    assert world.part(0, 1).state is RoundState.REVEALING
    taken_back = replace(world.state(), committed=0, revealed=0)
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "bounty", lambda *_, at: taken_back)
        patch.setattr(node._market, "entry", lambda *_, at: Entry(0, EntryState.NONE, bytes(29)))
        world.advance(1)
        assert "2 more mines to commit" in node.tick().what
        assert asked == [Intent.of_round(Action.COMMIT, bounty, 1)]
        world.advance(70)
        run([node], passes=1)
        assert not is_final(world.part(0, 1).state)  # it may come back yet


def test_a_round_is_read_from_one_block_and_one_that_the_node_lacks_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes)
    node, honest = nodes[0], nodes[0]._market.head()
    assert world.part(0, 1).state is RoundState.REVEALED
    with monkeypatch.context() as patch:
        patch.setattr(node._market, "head", lambda: honest._replace(hash="0x" + "11" * 32))
        with pytest.raises(RpcError, match=r"is not on this chain|Resource not found"):
            node._market.entry(world.scientist.bounty, world.address(0), at=node._market.head())
        assert "to work again" in node.tick().what
    world.advance(1)
    assert "to settle round 1" in node.tick().what
    assert not world.book(0).refusals()


def test_a_reveal_that_ends_the_window_is_believed_when_it_is_deep_enough(world: World) -> None:
    """Until then it is sent again if its block is replaced."""
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0, confirmations=4), world.node(1)]
    run(nodes[::-1], passes=1)
    run(nodes, passes=2)
    assert world.status() is Status.SETTLE
    assert world.part(0, 1).state is RoundState.REVEALING
    for _ in range(3):
        world.advance(1)
        nodes[0].tick()
    assert world.part(0, 1).state is RoundState.REVEALED


def test_a_stake_is_given_up_when_the_end_of_the_round_is_deep_enough(world: World) -> None:
    world.scientist.post(terms(min_mines=2, rounds=1))
    run([world.node(0)])
    node = world.node(0, confirmations=3)
    world.advance(125)
    node.tick()
    world.scientist.outbox.perform(wish("end"), world.market().expire(world.scientist.bounty, 1, []))
    for _ in range(2):
        node.tick()
        assert world.part(0, 1).state is RoundState.COMMITTED
        world.advance(1)
    node.tick()
    assert world.part(0, 1).state is RoundState.FORFEIT


def test_a_blob_is_not_published_before_its_reveal(world: World) -> None:
    world.scientist.post()
    node = world.node(0)
    run([node])
    part = world.part(0, 1)
    assert part.state is RoundState.COMMITTED
    assert len(part.cids) == 2
    assert not any(map(world.store.has, part.cids))
    world.advance(61)
    run([node])
    assert all(map(world.store.has, part.cids))


def test_data_that_change_after_joining_are_refused_until_they_are_put_back(world: World) -> None:
    world.scientist.post(terms(rounds=2))
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    path = world.home(0) / "data.csv"
    content = path.read_bytes()
    path.write_bytes(content + b"1,1,new,2\n")
    world.scientist.settle()
    run(nodes)
    (refusal,) = world.book(0).refusals()
    assert "has changed" in refusal.error
    assert "mine data add" in refusal.hint
    assert world.part(1, 2).state is RoundState.COMMITTED
    path.write_bytes(content)
    world.advance(20)
    run(nodes)
    assert world.part(0, 2).state is RoundState.REVEALED
    assert not world.book(0).refusals()


def test_another_home_with_the_same_account_does_not_commit_again(world: World) -> None:
    world.scientist.post()
    run([world.node(0)])
    before = world.market().ether(world.address(0))
    (world.folder / "mine-0").rename(world.folder / "elsewhere")
    node = world.node(0)
    run([node])
    assert any("another home" in problem.error for problem in world.problems())
    assert world.market().ether(world.address(0)) == before


def test_what_an_older_copy_of_a_home_has_forgotten_is_told_by_the_chain(world: World) -> None:
    """Round 1 ended with a payment, round 2 with a lost stake, round 3 is open: the copy knows none."""
    world.scientist.post(terms(cohort_cap=2, rounds=3))
    older = Book(Journal(world.folder / "older.sqlite"))
    older.register(data.register_csv(world.home(0) / "data.csv"))
    (posted,) = world.market().bounties()
    joining.join(
        world.market(), world.store, world.address(0), world.policy, older, sums_at(world.home(0)), posted
    )
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    world.scientist.settle()
    run(nodes[:1], passes=1)
    run(nodes[1:])
    world.advance(130)
    for _ in range(4):  # the other one ends the round, in which ours did not reveal
        run(nodes[1:])
        world.advance(3)
    run(nodes[:1], passes=1)
    whole = earnings(world.market(), world.book(0), world.address(0)).rounds
    told = earnings(world.market(), older, world.address(0)).rounds
    assert [(one.round, one.state) for one in told] == [(1, "paid"), (2, "forfeit"), (3, "committed")]
    assert (told[0].reward_units, told[1].stake_lost_units) == (whole[0].reward_units, 10**16)
    for one, other in zip(told, whole, strict=True):
        assert "older copy" in one.why
        assert replace(one, why="", gas_wei=0) == replace(other, why="", gas_wei=0)


def test_a_mine_without_ether_says_so_and_goes_on_once_it_has_some(world: World) -> None:
    world.scientist.post()
    world.accounts[1] = Account.create()
    poor = world.node(1)
    run([poor])
    (problem,) = world.problems()
    assert f"{world.address(1)} has 0 ether" in problem.error
    assert "send at least" in problem.hint
    assert world.part(1, 1).state is RoundState.COMMITTING
    world.give(1, 10**18)
    world.advance(5)
    run([poor])
    assert world.part(1, 1).state is RoundState.COMMITTED


def test_what_kept_a_mine_out_of_a_round_is_told_when_all_is_over(world: World) -> None:
    world.scientist.post(terms(cohort_cap=3, rounds=1))
    world.accounts[2] = Account.create()
    nodes = [world.node(index) for index in range(3)]
    run(nodes)
    world.advance(61)
    run(nodes)
    world.scientist.settle()
    run(nodes)
    assert world.book(2).refusals() == []
    rows = remembered(world.book(2), world.address(2), "").rounds
    assert [(row.state, row.why) for row in rows] == [("skipped", world.part(2, 1).why)]
    assert rows[0].why.startswith(f"the commit window is over: {world.address(2)} has 0 ether")


def test_a_round_that_a_reorganisation_moves_to_earlier_blocks_is_concluded(world: World) -> None:
    world.scientist.post()
    nodes = [world.node(index) for index in range(3)]
    run(nodes)
    part = world.part(0, 1)
    assert part.state is RoundState.REVEALED
    world.book(0).save(replace(part, since_block=part.since_block + 40))
    world.scientist.settle()
    run(nodes)
    assert world.part(0, 1).state is RoundState.PAID


def test_a_mine_that_cannot_pay_its_stake_takes_out_what_the_contract_owes_it(world: World) -> None:
    world.scientist.post(terms(stake_units=10**17))
    world.accounts[0] = Account.create()
    world.give(0, 15 * 10**16)  # one stake and gas, but not two stakes
    nodes = [world.node(index, confirmations=3 if index == 0 else 1) for index in range(3)]
    for _ in range(8):
        run(nodes, passes=1)
        world.advance(1)
    world.scientist.settle()
    for _ in range(8):
        run(nodes, passes=1)
        world.advance(1)
    assert world.part(0, 2).state is RoundState.REVEALED
    assert not world.problems()
    assert world.market().withdrawable(world.address(0)) == 0


def test_what_a_node_tells_in_ever_other_words_fills_no_memory(world: World) -> None:
    node = world.node(0)
    for number in range(1000):
        node._tell_once(RpcError(f"the node's fault {number}"))
        node._tell_once(RpcError(f"the node's fault {number}"))
    assert len(node._told) <= 100
    assert len(world.problems()) == 1000
