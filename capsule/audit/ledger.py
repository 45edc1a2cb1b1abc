"""What an auditor keeps: on the disk before an answer leaves."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from capsule.audit.recompute import Recomputed
from sonar.home.journal import Journal
from sonar.manifests.audit import AuditedRound, SeenRound, SettlementAnswer, SettlementRequest
from sonar.protocol.ids import Address, BountyId, hex32


class AuditLedger:
    """What was signed, and which openings were checked: on the disk before an answer leaves."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def signed(self, bounty: BountyId, round: int) -> SettlementAnswer | None:
        """Return the answer that was given for a round."""
        data = self._journal.get(f"{_key(bounty, round)}/answer")
        return None if data is None else SettlementAnswer.from_bytes(data)

    def seen(self, bounty: BountyId) -> dict[int, AuditedRound]:
        """Return the rounds whose openings were checked."""
        kept = [SeenRound.from_bytes(data) for data in self._values(bounty, "/seen")]
        return {each.round.round: each.round for each in kept}

    def record(
        self,
        request: SettlementRequest,
        answer: SettlementAnswer,
        found: Recomputed,
        complained: Collection[Address],
    ) -> None:
        """Record an answer, and what it was given on: openings that were checked, and complaints."""
        bounty, key = request.bounty, _key(request.bounty, request.round)
        figures = {
            "round": request.round,
            "settlement": hex32(found.digest),
            "loss": found.loss,
            "shares_bps": dict(found.shares),
            "left_out": dict(found.left_out),
            "openings": found.openings,
            "complained": sorted(complained),
        }
        with self._journal.transaction():
            for each in (one for one in request.rounds if one.round in found.checked):
                place = f"{_key(bounty, each.round)}/seen"
                if place not in self._journal:
                    self._journal.put(place, SeenRound(bounty=bounty, round=each).to_bytes())
            self._journal.put(f"{key}/answer", answer.to_bytes())
            self._journal.put(f"{key}/request", request.to_bytes())
            self._journal.put(f"{key}/figures", json.dumps(figures, sort_keys=True))

    def requests(self, bounty: BountyId) -> list[SettlementRequest]:
        """Return what was signed, by round."""
        return [SettlementRequest.from_bytes(data) for data in self._values(bounty, "/request")]

    def figures(self, bounty: BountyId) -> list[dict[str, Any]]:
        """Return the figures of each audited round."""
        return [json.loads(text) for text in self._values(bounty, "/figures")]

    def sighted(self, bounty: BountyId, round: int) -> list[str] | None:
        """Return whose updates were in the store when they were looked for; None if they were not."""
        found = self._journal.get(f"{_key(bounty, round)}/sighted")
        return None if found is None else [str(mine) for mine in found]

    def sight(self, bounty: BountyId, round: int, mines: list[Address]) -> None:
        """Record whose updates are in the store."""
        self._journal.put(f"{_key(bounty, round)}/sighted", [str(mine) for mine in mines])

    def _values(self, bounty: BountyId, what: str) -> list[Any]:
        pairs = self._journal.items(f"audit/{bounty.hex()}/")
        return [value for key, value in pairs if key.endswith(what)]


def _key(bounty: BountyId, round: int) -> str:
    return f"audit/{bounty.hex()}/{round:03}"
