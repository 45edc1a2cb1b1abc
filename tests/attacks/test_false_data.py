"""Data that are made up, false, or the same under several addresses, against the real contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cheats import payments
from mine.work import trainer
from sonar.families.quadratic.answer import LocalMap
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.events import BountyPosted, MinePaid, RoundSettled
from sonar.protocol.ids import Cid
from tests.attacks.hostile import HostileMine, read_task
from tests.attacks.world import World

ROUNDS, MINES, CHEAT = 5, 3, 2


class FalseSums(HostileMine):
    """Answers by the protocol, on sums that are not its rows'."""

    change: Any = None

    def opening(self, bounty: Any, posted: Any) -> Any:
        if self._task is None:
            task = read_task(self.market, self.store, bounty, posted)
            honest = trainer.prepare(task, self.dataset)
            assert isinstance(honest, LocalMap)
            self._task = (task, self.change(honest))
        return super().opening(bounty, posted)


def negated(one: LocalMap) -> LocalMap:
    return replace(one, b_int=-one.b_int)


def no_data(one: LocalMap) -> LocalMap:
    eye = np.array(
        [[int(i == j) << one.data_frac for j in range(len(one.a_int))] for i in range(len(one.a_int))]
    )
    return replace(one, a_int=eye.astype(object), b_int=0 * one.b_int)


def play(
    folder: Path, *, mines: int = MINES, change: Any = None, absent: frozenset[int] = frozenset()
) -> World:
    def cheat(*parts: Any) -> HostileMine:
        mine = FalseSums(*parts)
        mine.change = change
        return mine

    hostile = {CHEAT: cheat} if change else {}
    world = World(folder, mines=mines, rounds=ROUNDS, hostile=hostile, absent=absent, shards=MINES)
    world.run()
    world.check_money()
    return world


@pytest.fixture(scope="module")
def told_honestly(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("without"), absent=frozenset({CHEAT}))


def reasons(world: World, index: int) -> list[str]:
    """What the evidence of each round says of a mine."""
    found = []
    for event in world.events:
        if isinstance(event, RoundSettled):
            link = Cid("dag-cbor", event.evidence_digest)
            evidence = EvidenceManifest.from_bytes(world.store.get(link, EvidenceManifest.max_bytes))
            found += [member.reason for member in evidence.cohort if member.mine == world.address(index)]
    return found


@pytest.mark.parametrize(("change", "model"), [(negated, 1.1), (no_data, 1.2)])
def test_false_data_earn_little_and_spoil_little(
    change: Any, model: float, tmp_path: Path, without: World
) -> None:
    world = play(tmp_path, change=change)
    fair = (world.earned_wei(0) + world.earned_wei(1)) / 2
    assert world.earned_wei(CHEAT) <= 0.25 * fair
    assert world.final_loss() <= model * without.final_loss()
    assert reasons(world, 0) == reasons(world, 1) == [""] * len(reasons(world, 0))
    if change is negated:
        assert sum("false targets" in why or "far from" in why for why in reasons(world, CHEAT)) >= 3


@pytest.mark.parametrize("twins", [2, 3])
def test_the_same_data_under_several_addresses_earn_what_they_earn_under_one(
    twins: int, tmp_path: Path, told_honestly: World
) -> None:
    """All that have no rows of their own train on the last mine's. From round 3 on there are only fees."""
    world = play(tmp_path, mines=MINES - 1 + twins)
    addresses = range(CHEAT, CHEAT + twins)
    together = sum(world.earned_wei(index) for index in addresses)
    assert together <= 1.1 * told_honestly.earned_wei(CHEAT)
    assert together >= 0.9 * told_honestly.earned_wei(CHEAT)
    assert world.final_loss() == pytest.approx(told_honestly.final_loss(), rel=0.01)
    first = [shares for index in addresses for shares in [world.paid(index)[0].share_bps]]
    assert min(first) > 0
    assert max(first) - min(first) <= 1
    for index in addresses:
        assert all(
            "the same data under several addresses count as one" in why for why in reasons(world, index)
        )
        assert all(e.stake_units > 0 for e in world.paid(index))


def test_twins_do_not_stand_in_for_a_second_person(tmp_path: Path) -> None:
    """Two addresses of the same data are one: nothing is opened, and the model stays."""
    world = World(tmp_path, mines=2, rounds=2, min_mines=2, shards=1)
    world.run()
    world.check_money()
    settled = [event for event in world.events if isinstance(event, RoundSettled)]
    assert {event.best_loss for event in settled} == {1_000_000}
    assert sum(e.reward_units for e in world.events if isinstance(e, MinePaid)) == 0


def test_pay_is_what_the_measured_cheats_are_paid(told_honestly: World) -> None:
    """`benchmarks.cheats` computes it without a chain."""
    events = told_honestly.events
    terms = next(e for e in events if isinstance(e, BountyPosted)).terms
    best, number = terms.initial_loss, 0
    for settled in (e for e in events if isinstance(e, RoundSettled)):
        number += 1
        paid = [e for e in events if isinstance(e, MinePaid) and e.round == settled.round]
        shares = {str(e.mine): e.share_bps for e in paid}
        expected = payments(terms, (best, settled.best_loss), shares)
        units = {str(e.mine): e.reward_units + e.fee_units for e in paid}
        assert units == pytest.approx(expected, abs=1)
        best = settled.best_loss
    assert number == ROUNDS
