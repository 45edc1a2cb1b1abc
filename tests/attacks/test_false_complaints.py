"""Capsules that complain falsely of a mine's envelope: with how many of them that mine loses its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capsule.problems import Refused
from sonar.manifests.capsule import FunctionalRequest, SignedRequest
from sonar.protocol.ids import Address
from tests.integration.capsule_world import CapsuleWorld, InProcess


def complaining(one: InProcess, mine: Address) -> Callable[[str, bytes], bytes]:
    """What a capsule answers that says of this mine's envelope that it does not open, as of a bad one."""
    honest = one.service.answer

    def answer(kind: str, data: bytes) -> bytes:
        body = SignedRequest.from_bytes(data).body
        if kind == "functional" and mine in {ask.mine for ask in FunctionalRequest.from_bytes(body).asks}:
            raise Refused("mine", "the envelope does not open", mine=mine)
        return honest(kind, data)

    return answer


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, liars: int) -> tuple[Address, dict[str, Any]]:
    world = CapsuleWorld(folder, mines=4, settings={"rounds": 1})
    victim = world.miners[2].address
    for one in world.capsules[:liars]:
        monkeypatch.setattr(one.service, "answer", complaining(one, victim))
    campaign = world.campaign()
    world.run(campaign)
    world.check_money()
    (line,) = campaign.history()
    assert line["ended"] == "settled"
    return victim, line


def test_a_false_complaint_of_one_is_outvoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two others are enough: the round is what it would be, and the mine is paid."""
    _, fair = played(tmp_path / "fair", monkeypatch, 0)
    victim, line = played(tmp_path / "liar", monkeypatch, 1)
    assert (line["left_out"], line["loss"]) == ({}, fair["loss"])
    assert line["shares_bps"][victim] > 0


def test_false_complaints_of_two_cost_that_mine_the_round_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open, and said as open: so many capsules could as well be silent, which costs everybody."""
    victim, line = played(tmp_path, monkeypatch, 2)
    assert list(line["left_out"]) == [victim]
    assert line["left_out"][victim].startswith("test veil: too few capsules")
    assert line["loss"] < 1_000_000
    assert sum(line["shares_bps"].values()) == 10_000
