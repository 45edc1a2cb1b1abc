"""Stores and nodes that fail while a campaign runs: the round is settled in time, and nobody honest pays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign_kit import World

from pysonar.records import Cohort
from sonar.errors import ChainUnavailable, DigestMismatch, RpcError, StoreUnavailable
from sonar.progress import Done
from sonar.protocol.cid import Cid


class Instead:
    """A part with one method replaced; `real` is its own."""

    def __init__(self, part: Any, method: str, replacement: Callable[..., Any]) -> None:
        self._part, self._method, self._replacement = part, method, replacement

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real
        return lambda *args, **named: self._replacement(real, *args, **named)


def manifest_of(world: World, index: int, number: int = 1) -> Cid:
    return Cid("dag-cbor", world.miners[index].ready[number][0])


def test_one_update_that_the_store_cannot_give_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """As where a store times out on bytes that nobody has: a mine could do it on purpose."""
    world = World(tmp_path, settings={"rounds": 1})

    def get(real: Any, cid: Cid, max_bytes: int) -> bytes:
        if cid == manifest_of(world, 0):
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
        if down:
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
        if cid == manifest_of(world, 1) and damaged:
            damaged -= 1
            raise DigestMismatch(cid.digest.hex(), "00")
        return bytes(real(cid, max_bytes))

    campaign = world.campaign(lambda part, name: Instead(part, "get", get) if name == "store" else part)
    world.run(campaign)
    assert damaged == 0
    assert campaign.history()[0]["left_out"] == {}


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
