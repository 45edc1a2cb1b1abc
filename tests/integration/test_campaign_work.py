"""What a round's work takes and what it leaves behind: no update is decoded or opened twice, none is kept."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pysonar.campaign.records import Cohort, Outcome, Update
from pysonar.keys.key import Key
from sonar.families.quadratic.inspection import WHY
from sonar.protocol.events import RoundSettled
from sonar.protocol.ids import Cid
from sonar.settling.updates import Form
from sonar.settling.verdict import WITHHELD, Verdict
from sonar.store.memory import MemoryStore
from tests.integration.campaign_kit import World


class Killed(BaseException):
    """The process ends here."""


class KilledAt:
    """A part that ends the process before one of its methods does anything in a round."""

    def __init__(self, part: Any, method: str, number: int) -> None:
        self._part, self._method, self._number = part, method, number

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def method(*args: Any) -> Any:
            if args[1] == self._number:
                raise Killed
            return real(*args)

        return method


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many updates were decoded, and how many ciphertexts opened."""
    counts: Counter[str] = Counter()
    decode, decrypt = Form.decode, Key.unsafe_decrypt

    def counted_decode(self: Form, blob: bytes) -> Any:
        counts["decoded"] += 1
        return decode(self, blob)

    def counted_decrypt(self: Key, ciphertexts: Any) -> Any:
        counts["opened"] += len(ciphertexts)
        return decrypt(self, ciphertexts)

    monkeypatch.setattr(Form, "decode", counted_decode)
    monkeypatch.setattr(Key, "unsafe_decrypt", counted_decrypt)
    return counts


def one_round(world: World, campaign: Any, counts: Counter[str]) -> dict[str, int]:
    """What one more round takes."""
    counts.clear()
    over = campaign.records.finished()
    world.run_until(campaign, lambda: campaign.records.finished() > over)
    return dict(counts)


def test_every_round_decodes_and_opens_its_own_updates_only(tmp_path: Path, counted: Counter[str]) -> None:
    world = World(tmp_path, settings={"rounds": 6})
    count = world.bounty.design.plan.ciphertexts
    a_round = {"decoded": 3, "opened": 3 * count + count}
    campaign = world.campaign()
    assert [one_round(world, campaign, counted) for _ in range(3)] == [a_round] * 3
    again = world.campaign()  # a program that was just started
    assert [one_round(world, again, counted) for _ in range(3)] == [a_round] * 3


def test_what_the_holder_has_lost_is_opened_once_more_and_nothing_changes(
    tmp_path: Path, counted: Counter[str]
) -> None:
    quiet = World(tmp_path / "quiet", settings={"rounds": 4})
    quiet.run(undisturbed := quiet.campaign())
    world = World(tmp_path / "lost", settings={"rounds": 4}, accounts=quiet.accounts)
    count = world.bounty.design.plan.ciphertexts
    first = world.campaign()
    for _ in range(2):
        one_round(world, first, counted)
    (archive,) = world.key_path.parent.glob("*.opened")
    archive.unlink()
    campaign = world.campaign()
    assert one_round(world, campaign, counted) == {"decoded": 9, "opened": 9 * count + count}
    assert one_round(world, campaign, counted) == {"decoded": 3, "opened": 3 * count + count}
    world.run(campaign)
    assert [line["loss"] for line in campaign.history()] == [line["loss"] for line in undisturbed.history()]
    assert campaign.payouts() == undisturbed.payouts()


def test_an_update_that_is_lost_with_what_the_holder_knew_of_it_is_done_without(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 3})
    first = world.campaign()
    world.run_until(first, lambda: first.records.finished() == 1)
    update = first.records.update(1, world.miners[0].address)
    assert update is not None
    forget(world.memory, update)
    (archive,) = world.key_path.parent.glob("*.opened")
    archive.unlink()
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert [line["left_out"] for line in campaign.history()] == [
        {},
        # Of its own rounds the holder knows none, so its next update is a first one.
        {world.miners[0].address: f"test newcomer: {WHY['newcomer']}"},
        {},
    ]
    assert all(settled.best_loss < world.bounty.initial_loss for settled in world.events(RoundSettled))
    world.check_money()


def forget(store: MemoryStore, update: Update) -> None:
    for link in update.links:
        del store._blobs[Cid.parse(link).digest]


@pytest.mark.parametrize("method", ["holds", "open_sum"])
def test_an_update_that_the_store_loses_before_it_was_summed_counts_as_withheld(
    tmp_path: Path, method: str
) -> None:
    """Before the verdict, and after it: what was decided of the others stays."""
    world = World(tmp_path, mines=4, settings={"rounds": 2})
    killed = world.campaign(lambda part, name: KilledAt(part, method, 2) if name == "key" else part)
    with pytest.raises(Killed):
        world.run(killed)
    lost = world.miners[1].address
    decided: Verdict | None = killed.records.get(Verdict, 2)
    assert (decided is not None) == (method == "open_sum")
    update = killed.records.update(2, lost)
    assert update is not None
    forget(world.memory, update)

    campaign = world.campaign()
    world.run(campaign)
    verdict: Verdict = campaign.records.get(Verdict, 2)
    assert verdict.left_out == {lost: WITHHELD}
    cohort: Cohort = campaign.records.get(Cohort, 2)
    assert set(verdict.accepted) == set(cohort.digests) - {lost}
    outcome: Outcome = campaign.records.get(Outcome, 2)
    assert outcome.sums
    assert outcome.rows == 3 * world.bounty.design.plan.weight_rows
    assert outcome.shares_bps[lost] == 0
    assert sum(outcome.shares_bps.values()) == 10_000
    world.check_money()


def test_the_journal_holds_links_and_no_ciphertexts(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    with sqlite3.connect(tmp_path / "pysonar.sqlite") as db:
        rows = db.execute("SELECT key, value FROM entries WHERE key LIKE 'campaign/%'").fetchall()
    blobs = [data.hex() for data in world.memory._blobs.values() if len(data) % 256 == 0]
    assert len(blobs) >= 8
    assert not [key for key, value in rows if any(blob[:64] in value for blob in blobs)]
