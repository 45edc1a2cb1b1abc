"""Capsules recompute a real campaign's settlements before they sign them: both programs' own code, with a
committee on the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from capsule.audit.auditor import Auditor
from pysonar.campaign.audit import Packets
from pysonar.campaign.signing import CapsuleSignatures
from pysonar.keys.holder import KeyHolder
from sonar.manifests.audit import SettlementRequest
from sonar.protocol.events import RoundSettled
from sonar.telling.progress import describe
from tests.integration.capsule_world import CapsuleWorld

Lie = Callable[[SettlementRequest], SettlementRequest]


class LyingPackets(Packets):
    """Packets of a scientist who says something else than her program found."""

    lie: Lie

    def packet_of(self, *given: Any, **more: Any) -> SettlementRequest:
        return self.lie(super().packet_of(*given, **more))


@dataclass
class AuditedWorld(CapsuleWorld):
    """A world whose bounty is audited; `lie` changes what auditors are asked."""

    audit: bool = True
    lie: Lie = lambda request: request

    def holder(self) -> KeyHolder:
        holder, signing = super().holder(), self.signing
        assert isinstance(signing, CapsuleSignatures)
        honest = signing._packets

        def packets() -> Packets:
            made = honest()
            lying = LyingPackets(made.get, made.holder, made.records, made.bounty, made.job)
            object.__setattr__(lying, "lie", self.lie)
            return lying

        signing._packets, signing._monotonic = packets, lambda: self.now_s
        return holder


def test_every_settlement_of_a_campaign_is_signed_by_its_auditors(tmp_path: Path) -> None:
    """A mine is absent in round 2, so others stay out of its sum; a capsule was down, and has to catch up."""
    world = AuditedWorld(tmp_path, mines=6, settings={"rounds": 3})
    world.miners[3].absent = frozenset({2})
    campaign, (late, gone, always) = world.campaign(), world.capsules

    def settled() -> int:
        return len(world.events(RoundSettled))

    world.run_until(campaign, lambda: campaign.id is not None)
    late.down = True
    world.run_until(campaign, lambda: settled() == 2)
    late.down, gone.down = False, True
    world.run(campaign)
    assert settled() == 3
    waits = " ".join(describe(line.event) for line in world.sink.lines)
    for what in (
        "tell what tests of round 2 take",
        "open the sum of round 2",
        "recompute the settlement of round 2",
    ):
        assert f"waiting for capsules to {what}" in waits
    assert late.asked.count("settlement") == 2  # the second with the openings of rounds 1 and 2
    world.check_money()
    assert campaign.id is not None
    auditor = always.means.auditor
    assert isinstance(auditor, Auditor)
    assert auditor.again(campaign.id) == {1: "", 2: "", 3: ""}
    assert [one["loss"] for one in auditor.figures(campaign.id)] == [
        line["loss"] for line in campaign.history()
    ]


@pytest.mark.parametrize("missed", ["functional", "sum"])
def test_a_capsule_that_missed_a_question_is_asked_again_when_auditors_miss_its_answer(
    tmp_path: Path, missed: str
) -> None:
    """It was started again between a question and the settlement, which is nothing that may cost a reward."""
    world = AuditedWorld(tmp_path, mines=4, settings={"rounds": 1})
    campaign, away = world.campaign(), world.capsules[2]
    away.deaf = frozenset({missed})
    world.run_until(campaign, lambda: any("settlement" in one.asked for one in world.capsules))
    assert not world.events(RoundSettled)  # the others do not sign without it, since it serves
    away.deaf = frozenset()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"]
    world.check_money()


def _shifted(asked: SettlementRequest) -> SettlementRequest:
    first, second, *rest = asked.awards
    less = first.model_copy(update={"share_bps": first.share_bps - 1})
    more = second.model_copy(update={"share_bps": second.share_bps + 1})
    return asked.model_copy(update={"awards": (less, more, *rest)})


LIES: dict[str, tuple[Lie, str]] = {
    "a better loss": (lambda asked: asked.model_copy(update={"new_loss": asked.new_loss - 1}), "loss"),
    "shares moved": (_shifted, "shares"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_is_signed_by_nobody(tmp_path: Path, what: str) -> None:
    world = AuditedWorld(tmp_path, mines=3, settings={"rounds": 1})
    world.lie, code = LIES[what]
    campaign = world.campaign()
    world.run_until(campaign, lambda: all("settlement" in one.asked for one in world.capsules))
    assert not world.events(RoundSettled)
    assert sum(f"({code})" in str(line) for line in world.sink.lines) == 3
