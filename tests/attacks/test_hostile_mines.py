"""Hostile mines against the real contract, campaign and nodes: none earns, none costs the others any."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sonar.families.quadratic.inspection import WHY
from sonar.protocol.events import RoundSettled
from tests.attacks.hostile import HostileMine, Noise, SealCopier, UpdateThief, random_slots, times
from tests.attacks.world import ETHER, World

ROUNDS = 5


def thief(disguise: str) -> Any:
    def make(*parts: Any) -> HostileMine:
        mine = UpdateThief(*parts)
        mine.disguise = disguise
        return mine

    return make


ATTACKS: dict[str, Any] = {
    "random over the whole slot": partial(HostileMine, forge=random_slots),
    "ten times from the start": partial(HostileMine, forge=times(10)),
    "minus three times from the start": partial(HostileMine, forge=times(-3)),
    "never reveals": partial(HostileMine, reveals=False),
    "reveals and withholds its blob": partial(HostileMine, publishes_blob=False),
    "copies a seal": SealCopier,
}
LATE_ATTACKS: dict[str, Any] = {
    "ten times in round 4": partial(HostileMine, forge=times(10, from_round=4)),
    "minus three times in round 4": partial(HostileMine, forge=times(-3, from_round=4)),
    "another's revealed update": thief("manifest"),
    "another's ciphertexts": thief("blob"),
    "another's update, re-randomised": thief("rerandomised"),
}
CHEAT = 2


def some(attacks: dict[str, Any]) -> list[Any]:
    """The names; ten times is left to `make deep`: minus three fails by the same tests, and is nearer."""
    deep = pytest.mark.deep
    return [pytest.param(name, marks=deep) if name.startswith("ten times") else name for name in attacks]


NEWCOMER = f"test newcomer: {WHY['newcomer']}"


FRESH_ADDRESSES = {CHEAT + i: partial(Noise, rounds=range(i + 2, i + 3)) for i in range(ROUNDS - 1)}
"""One cheat that comes under a new address in every round after the first."""


def play(folder: Path, hostile: Any = None, *, absent: frozenset[int] = frozenset()) -> World:
    cheats = hostile if isinstance(hostile, dict) else {CHEAT: hostile} if hostile else {}
    mines = max([CHEAT, *cheats]) + 1
    world = World(folder, mines=mines, rounds=ROUNDS, hostile=cheats, absent=absent, shards=3)
    world.run()
    world.check_money()
    return world


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The loss of the same run without that mine."""
    return play(tmp_path_factory.mktemp("without"), absent=frozenset({CHEAT})).final_loss()


@pytest.mark.parametrize("attack", some(ATTACKS))
def test_an_attack_from_the_start_earns_nothing(attack: str, tmp_path: Path, yardstick: int) -> None:
    world = play(tmp_path, ATTACKS[attack])
    assert world.earned_wei(CHEAT) == 0
    if attack == "copies a seal":
        cheat = world.parties[CHEAT]
        assert isinstance(cheat, HostileMine)
        assert any("not what was committed to" in refusal for refusal in cheat.refusals)  # it did try
    assert world.final_loss() <= 1.05 * yardstick
    check_the_honest(world)


@pytest.mark.parametrize("attack", some(LATE_ATTACKS))
def test_an_attack_later_earns_nothing_from_then_on(attack: str, tmp_path: Path, yardstick: int) -> None:
    world = play(tmp_path, LATE_ATTACKS[attack])
    first = 4 if "round 4" in attack else 2
    assert all(p.fee_units == p.reward_units == 0 for p in world.paid(CHEAT) if p.round >= first)
    assert world.final_loss() <= 1.05 * yardstick
    check_the_honest(world)


@pytest.mark.parametrize("fresh", [False, True], ids=["one address", "a fresh address every round"])
def test_noise_that_comes_late_earns_nothing(fresh: bool, tmp_path: Path, yardstick: int) -> None:
    """An address costs nothing, so the first that it sends after the first round counts for nothing."""
    cheats = FRESH_ADDRESSES if fresh else {CHEAT: partial(Noise, rounds=range(2, 256))}
    world = play(tmp_path, cheats)
    assert [world.earned_wei(cheat) for cheat in cheats] == [0] * len(cheats)
    assert world.final_loss() <= 1.05 * yardstick
    reasons = [world.campaign.history()[1]["left_out"].get(world.address(cheat)) for cheat in cheats]
    assert reasons == [NEWCOMER, *[None] * (len(cheats) - 1)]
    check_the_honest(world)


def test_an_honest_mine_that_comes_late_loses_its_first_round_only(tmp_path: Path, yardstick: int) -> None:
    world = play(tmp_path, partial(HostileMine, rounds=range(2, 256)))
    late = world.address(CHEAT)
    lines = world.campaign.history()
    assert [line["left_out"] for line in lines] == [{}, {late: NEWCOMER}, {}, {}, {}]
    first, second, *_ = world.paid(CHEAT)
    assert (first.round, first.fee_units, first.reward_units, first.stake_units) == (2, 0, 0, ETHER // 10)
    assert second.fee_units > 0  # the two others have gained what there was to gain
    assert world.final_loss() <= 1.05 * yardstick
    check_the_honest(world)


def check_the_honest(world: World) -> None:
    """Nobody honest was left out or lost a stake, and the fee pool went to them in full."""
    for index in (0, 1):
        rounds = world.paid(index)
        assert len(rounds) == sum(isinstance(e, RoundSettled) for e in world.events)
        assert all(p.stake_units == ETHER // 10 for p in rounds)
    assert world.earned_wei(0) + world.earned_wei(1) > 0
