"""Whatever a campaign is led to, it decrypts no two sums whose difference is one mine's update."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pysonar.campaign.records import Outcome
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import BlobNotFound
from sonar.protocol.events import RoundSettled
from sonar.protocol.ids import Cid
from sonar.settling.verdict import Verdict
from tests.integration.campaign_kit import World


class Killed(BaseException):
    """The process ends here."""


class Before:
    """Calls `act` before each call of one method of a part."""

    def __init__(self, part: Any, method: str, act: Any) -> None:
        self._part, self._method, self._act = part, method, act

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def method(*args: Any, **named: Any) -> Any:
            self._act(*args)
            return real(*args, **named)

        return method


def copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def test_a_mine_absent_at_unchanged_weights_is_not_given_away(tmp_path: Path) -> None:
    """Steps too short for fixed point leave the weights as they were, while the cohort changes."""
    world = World(tmp_path, settings={"optimiser": {"kind": "gradient-descent", "rate": 1e-12}})
    world.miners[2].absent = frozenset({2})
    campaign = world.campaign()
    world.run(campaign)
    first, second, third = (campaign.records.get(Outcome, n) for n in (1, 2, 3))
    assert first.weights == second.weights == third.weights
    assert second.sums == []
    assert first.sums == third.sums != []  # the same cohort may be summed again: it tells nothing new
    assert len(world.events(RoundSettled)) == 3
    line = campaign.history()[1]
    assert sorted(line["shares_bps"].values()) == [5_000, 5_000]  # who did the work shares the fees
    world.check_money()


def test_a_journal_restored_from_a_copy_leads_to_no_second_sum(tmp_path: Path) -> None:
    """One mine's blob is gone when the round is computed again: the sum without it would give it away."""
    world, journal = World(tmp_path), tmp_path / "pysonar.sqlite"

    def before_settling(intent: Intent, _call: Any) -> None:
        if (intent.action, intent.round) == (Action.SETTLE, 1):
            raise Killed

    def wrap(part: Any, name: str) -> Any:
        return Before(part, "submit", before_settling) if name == "outbox" else part

    campaign = world.campaign(wrap)
    world.run_until(campaign, lambda: campaign.id is not None)
    copy_database(journal, tmp_path / "copy")
    with pytest.raises(Killed):
        world.run(campaign)
    assert len(campaign.records.get(Verdict, 1).accepted) == 3
    assert campaign.records.get(Outcome, 1).sums

    copy_database(tmp_path / "copy", journal)
    gone = Cid("dag-cbor", world.miners[2].ready[1][0])

    def lost(cid: Cid, _max_bytes: int) -> None:
        if cid == gone:
            raise BlobNotFound(str(cid))

    restored = world.campaign(lambda part, name: Before(part, "get", lost) if name == "store" else part)
    world.run(restored)
    assert len(restored.records.get(Verdict, 1).accepted) == 2
    assert restored.records.get(Outcome, 1).sums == []
    assert [line["ended"] for line in restored.history()] == ["settled"] * 3
    assert restored.model.loss < world.bounty.initial_loss
    world.check_money()
