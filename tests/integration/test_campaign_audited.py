"""Capsules recompute a real campaign's settlements before they sign them: the program's own service, through
the requests that the scientist's program makes of its records, and a committee on the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gmpy2 import mpz

from pysonar.campaign.audit import Packets, Question
from pysonar.campaign.lifecycle import Campaign
from pysonar.campaign.records import Outcome, Publication
from pysonar.keys.job import Job
from pysonar.keys.veiled import VeiledHolder
from sonar.chain.deploying.committee import committee_signature
from sonar.errors import CapsuleRefused
from sonar.home.settlement import Settlement
from sonar.manifests.audit import SettlementAnswer, SettlementRequest
from sonar.paillier.public import PublicKey
from sonar.protocol.events import RoundSettled
from sonar.protocol.ids import Address, parse_bytes32
from tests.integration.capsule_world import CapsuleWorld

Lie = Callable[[SettlementRequest], SettlementRequest]


@dataclass
class Opener:
    """A key's holder, as far as audits go."""

    holder: VeiledHolder

    @property
    def public(self) -> PublicKey:
        return self.holder.public

    def unsafe_open(self, ciphertexts: Sequence[mpz]) -> list[tuple[int, int]]:
        return self.holder._key.unsafe_open(ciphertexts)

    def questions(self, job: Job, round: int) -> Sequence[Question]:
        return self.holder.questions(job, round)


@dataclass
class AskingAuditors:
    """Asks each capsule to audit a settlement, and joins the signatures. `lie` changes what is asked."""

    world: CapsuleWorld
    campaign: Campaign | None = None
    lie: Lie = lambda request: request
    refused: list[CapsuleRefused] = field(default_factory=list)

    def place(self, settlement: Settlement) -> str:
        return "the bounty's capsules"

    def signature(self, settlement: Settlement) -> bytes | None:
        signatures = dict[Address, bytes]()
        digest = parse_bytes32(settlement.digest, "digest")
        for one in self.world.capsules:
            if not one.down and (told := self._asked(one.address, settlement.round)) is not None:
                signatures[one.address] = told.signature
        if len(signatures) < self.world.threshold:
            return None
        return committee_signature(digest, signatures, self.world.threshold)

    def _asked(self, account: Address, number: int) -> SettlementAnswer | None:
        for earlier in ([], list(range(1, number))):
            body = self.lie(self.request(number, earlier)).to_bytes()
            try:
                signed = self.world.panel()[account].ask("settlement", body)
            except CapsuleRefused as refused:
                self.refused.append(refused)
                if refused.code != "openings-missing":
                    return None
            else:
                return SettlementAnswer.from_bytes(signed.body)
        return None

    def request(self, number: int, earlier: list[int]) -> SettlementRequest:
        """What the scientist's program makes of its records."""
        assert self.campaign is not None
        means, job = self.campaign._means, self.campaign._opening.job()
        assert isinstance(means.holder, VeiledHolder)
        packets = Packets(means.store.get, Opener(means.holder), means.records, means.bounty, job)
        publication: Publication = means.records.get(Publication, number)
        outcome: Outcome = means.records.get(Outcome, number)
        return packets.packet_of(number, publication, outcome.shares_bps, earlier)


def world_of(folder: Path, mines: int = 4) -> tuple[CapsuleWorld, AskingAuditors, Campaign]:
    world = CapsuleWorld(folder, mines=mines, settings={"rounds": 3}, audited=True)
    asking = AskingAuditors(world)
    world.signing = asking
    asking.campaign = campaign = world.campaign()
    return world, asking, campaign


def test_every_settlement_of_a_campaign_is_signed_by_its_auditors(tmp_path: Path) -> None:
    """One capsule is down in the first rounds: it asks for the openings that it has not seen."""
    world, asking, campaign = world_of(tmp_path)
    world.miners[3].absent = frozenset({2})

    def settled(rounds: int) -> bool:
        return len(world.events(RoundSettled)) == rounds

    world.run_until(campaign, lambda: settled(1))
    world.capsules[0].down = True
    world.run_until(campaign, lambda: settled(2))
    world.capsules[0].down = False
    world.run(campaign)
    assert settled(3)
    assert {refused.code for refused in asking.refused} == {"openings-missing"}
    world.check_money()


LIES: dict[str, tuple[Lie, str]] = {
    "a better loss": (lambda asked: asked.model_copy(update={"new_loss": asked.new_loss - 1}), "loss"),
    "shares moved": (
        lambda asked: asked.model_copy(
            update={
                "awards": (
                    asked.awards[0].model_copy(update={"share_bps": asked.awards[0].share_bps - 1}),
                    asked.awards[1].model_copy(update={"share_bps": asked.awards[1].share_bps + 1}),
                    *asked.awards[2:],
                )
            }
        ),
        "shares",
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_is_signed_by_nobody(tmp_path: Path, what: str) -> None:
    world, asking, campaign = world_of(tmp_path, mines=3)
    asking.lie, code = LIES[what]
    world.run_until(campaign, lambda: bool(asking.refused))
    for _ in range(3):
        campaign.tick()
    assert {refused.code for refused in asking.refused} == {code}
    assert not world.events(RoundSettled)
