"""A mine with a stake at risk: neither a store that hangs nor a long update keeps it from its reveal."""

from pathlib import Path

import pytest

from mine.node import Node
from mine.work import trainer
from mine.work.urgency import COMMIT_MARGIN_S
from sonar.chain.rpc import Head
from sonar.errors import RpcError, StoreUnavailable
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import BountyId, Cid, Codec
from sonar.protocol.phase import BountyState, Status, deadlines_of
from sonar.protocol.round import RoundState
from sonar.store.memory import MemoryStore
from tests.integration.mine_kit import TinyScientist, World, run, terms

HANG_S, TRAIN_S = 10, 50
AT_RISK = (RoundState.COMMITTED, RoundState.REVEALING)


class HangingStore(MemoryStore):
    """A store that can be made to hang in `put`, which takes its caller `HANG_S`, and then fails."""

    world: World
    hangs = False
    calls = 0

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        if self.hangs:
            self.calls += 1
            self.world.advance(HANG_S)
            raise StoreUnavailable(f"the store took more than {HANG_S} s")
        return super().put(data, codec)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, HangingStore(), mines=2)
    world.store.world = world  # type: ignore[attr-defined]
    return world


def windows(seconds: int, cohort_cap: int = 2) -> dict[str, int]:
    phases = ("commit_window_s", "reveal_window_s", "settle_window_s")
    return {"rounds": 1, "cohort_cap": cohort_cap, **dict.fromkeys(phases, seconds)}


def hang(world: World, hangs: bool = True) -> None:
    world.store.hangs = hangs  # type: ignore[attr-defined]


def tick_until_decided(world: World, node: Node, bounty: BountyId) -> RoundState:
    """Let the mine work, a second at a time at least, until its stake is saved or lost; return which."""
    while (state := world.book(0).part(bounty, 1).state) in AT_RISK:
        before = world.chain.now_s
        node.tick()
        if world.chain.now_s == before:
            world.advance(1)
    return state


@pytest.mark.parametrize(("window_s", "waits_s"), [(16, 3), (24, 5), (40, 7), (60, 9)])
def test_a_store_that_hangs_costs_no_stake(world: World, window_s: int, waits_s: int) -> None:
    bounty = world.scientist.post(terms(**windows(window_s)))
    nodes = [world.node(0), world.node(1)]
    run(nodes, passes=1)
    world.advance(waits_s)
    hang(world)
    assert tick_until_decided(world, nodes[0], bounty) is RoundState.REVEALED
    assert world.store.calls > 0  # type: ignore[attr-defined]  # it was tried while there was time


def test_a_store_that_hangs_for_one_bounty_does_not_cost_another_its_stake(world: World) -> None:
    """The less urgent one waits for the other, and then publishes before its reveal."""
    later = TinyScientist(world.market(), world.store, world.scientist.outbox)
    bounties = [later.post(terms(**windows(300))), world.scientist.post(terms(**windows(40)))]
    nodes = [world.node(0), world.node(1)]
    run(nodes[::-1], passes=1)
    assert {world.book(0).part(bounty, 1).state for bounty in bounties} <= {*AT_RISK}
    hang(world)
    assert tick_until_decided(world, nodes[0], bounties[1]) is RoundState.REVEALED
    assert world.book(0).part(bounties[0], 1).state is RoundState.COMMITTED
    hang(world, False)
    assert tick_until_decided(world, nodes[0], bounties[0]) is RoundState.REVEALED
    for digest in later.cohort(1).values():
        later.read_update(digest)


def test_where_a_window_leaves_no_time_for_a_hanging_store_the_reveal_goes_first(world: World) -> None:
    bounty = world.scientist.post(terms(**windows(10, cohort_cap=3)))
    node = world.node(0)
    run([node, world.node(1)], passes=1)
    world.advance(10)
    assert tick_until_decided(world, node, bounty) is RoundState.REVEALED
    for digest in world.scientist.cohort(1).values():
        world.scientist.read_update(digest)


def test_a_long_update_waits_for_the_reveal_of_a_stake_at_risk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.scientist.post(terms(**windows(40, cohort_cap=3)))
    node = world.node(0)
    run([node], passes=1)
    world.advance(34)
    other = TinyScientist(world.market(), world.store, world.scientist.outbox)
    second = other.post(terms(**windows(120)))
    make = trainer.make_update

    def slow_make(*args: object) -> object:
        world.advance(TRAIN_S)
        return make(*args)  # type: ignore[arg-type]

    def estimate(_: SlotPlan) -> float:
        return TRAIN_S

    monkeypatch.setattr("sonar.families.quadratic.family.estimated_s", estimate)
    monkeypatch.setattr(trainer, "make_update", slow_make)
    for _ in range(2):
        node.tick()
        assert world.book(0).part(second, 1).state is RoundState.IDLE
    world.advance(10)
    node.tick()
    assert world.book(0).part(first, 1).state is RoundState.REVEALED
    assert world.book(0).part(second, 1).state is RoundState.COMMITTED


def test_what_was_revealed_unpublished_is_published_after_a_restart(world: World) -> None:
    bounty = world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes, passes=1)
    hang(world)
    assert tick_until_decided(world, nodes[0], bounty) is RoundState.REVEALED
    part = world.part(0, 1)
    assert not any(map(world.store.has, part.cids))
    hang(world, False)
    world.node(0).tick()
    assert world.status() is not Status.COMMIT
    assert all(map(world.store.pinned, part.cids))  # type: ignore[attr-defined]


def test_a_stake_that_is_lost_holds_up_nothing(world: World) -> None:
    """The chain does not tell how the round ended, so that it cannot be written down."""
    first = world.scientist.post(terms(**windows(40, cohort_cap=3)))
    node = world.node(0)
    run([node], passes=1)
    world.advance(90)
    ask = node._market.bounty

    def tell_bounty(bounty: BountyId, at: Head | None = None) -> BountyState:
        if bounty == first:
            raise RpcError("eth_call: pruned")
        return ask(bounty, at)

    node._market.bounty = tell_bounty  # type: ignore[method-assign]
    other = TinyScientist(world.market(), world.store, world.scientist.outbox)
    second = other.post(terms(**windows(120)))
    for _ in range(3):
        node.tick()
    assert world.book(0).part(first, 1).state is RoundState.COMMITTED
    assert world.book(0).part(second, 1).state is RoundState.COMMITTED


QUIET_S = 10


def quiet(**changes: int) -> dict[str, int]:
    """Windows of a minute, and a quiet end when two have committed."""
    return {**windows(60, cohort_cap=4), "min_mines": 2, "quiet_s": QUIET_S, **changes}


def test_with_a_quiet_end_nobody_waits_for_an_absent_mine(world: World) -> None:
    bounty = world.scientist.post(terms(**quiet()))
    opened_s = world.state().opened_s
    nodes = [world.node(0), world.node(1)]
    run(nodes)
    assert world.status() is Status.COMMIT
    world.advance(QUIET_S)
    run(nodes)
    assert [world.book(i).part(bounty, 1).state for i in range(2)] == [RoundState.REVEALED] * 2
    assert world.status() is Status.SETTLE
    assert world.chain.now_s < opened_s + 60


def test_a_mine_that_would_miss_the_quiet_end_sends_nothing_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, mines=3)
    world.scientist.post(terms(**quiet()))
    run([world.node(0), world.node(1)], passes=1)
    late = world.node(2)
    world.advance(QUIET_S - COMMIT_MARGIN_S)
    assert "too little time is left" in late.tick().what
    assert world.part(2, 1).state is RoundState.IDLE
    world.advance(COMMIT_MARGIN_S)
    assert "the commit window is over" in late.tick().what
    assert world.market().ether(world.address(2)) == 10**20
    assert not world.problems()


def test_a_quiet_end_that_another_commit_moves_is_in_time_again(tmp_path: Path) -> None:
    world = World(tmp_path, mines=4)
    world.scientist.post(terms(**quiet()))
    run([world.node(0), world.node(1)], passes=1)
    late, other = world.node(2), world.node(3)
    world.advance(QUIET_S - COMMIT_MARGIN_S - 2)
    first_end_s = deadlines_of(world.state()).commit_s
    run([other], passes=1)
    assert deadlines_of(world.state()).commit_s > first_end_s
    world.advance(first_end_s - world.chain.now_s)
    run([late], passes=1)
    assert world.state().committed == 4
    assert world.part(2, 1).state in AT_RISK


def test_an_update_that_takes_too_long_for_the_quiet_end_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first one has to be made to know; from then on the mine knows how long it takes."""
    world = World(tmp_path, mines=3)
    world.scientist.post(terms(**quiet(rounds=2, cohort_cap=3)))
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    world.scientist.settle()
    run(nodes[:2], passes=1)
    made = trainer.make_update
    monkeypatch.setattr("sonar.families.quadratic.family.estimated_s", lambda _: 4.0)
    monkeypatch.setattr(trainer, "make_update", lambda *_: pytest.fail("it was begun"))
    world.advance(QUIET_S - COMMIT_MARGIN_S - 4)
    assert "an update takes about 4 s" in nodes[2].tick().what
    monkeypatch.setattr(trainer, "make_update", made)
    monkeypatch.setattr("sonar.families.quadratic.family.estimated_s", lambda _: 2.0)
    world.advance(1)
    nodes[2].tick()
    assert world.part(2, 2).state in AT_RISK


def test_an_update_that_took_longer_than_was_left_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that passes while it is made counts, though the head is still the one from before."""
    world = World(tmp_path, mines=3)
    world.scientist.post(terms(**quiet()))
    run([world.node(0), world.node(1)], passes=1)
    late, made = world.node(2), trainer.make_update

    def slow_make(*args: object) -> object:
        world.monotonic.now_s += QUIET_S
        return made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "make_update", slow_make)
    assert "too little time is left" in late.tick().what
    assert world.part(2, 1).state is RoundState.TRAINED
    world.advance(QUIET_S)
    assert "the commit window is over" in late.tick().what
    assert world.part(2, 1).state is RoundState.TRAINED
    assert world.market().ether(world.address(2)) == 10**20
