"""Killed before and after every effect, and started again from the same home each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pysonar.campaign.lifecycle import Campaign
from pysonar.campaign.records import Outcome, Publication
from sonar.home.journal import Journal
from sonar.protocol.events import BountyPosted, CohortFixed, RoundSettled
from sonar.telling.progress import Done
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import CapsuleWorld

ROUNDS = {"rounds": 2}
EFFECTS = {
    "journal": ("put",),
    "store": ("put", "pin"),
    "copies": ("put", "pin"),
    "key": ("holds", "choose", "open_sum", "score", "encrypt"),
    "told": ("keep", "fix", "opened"),
    "outbox": ("submit",),
}
FRESH = {("copies", "put"), ("copies", "pin")}


class Killed(BaseException):
    """No handler of the program sees it, as none sees kill -9."""


class Killer:
    """Kills at each effect once before it happens and once after; what was reached is in `boundaries`."""

    def __init__(self) -> None:
        self.boundaries: set[tuple[str, ...]] = set()

    def wrap(self, part: Any, name: str) -> Any:
        return Mortal(self, part, name)

    def at(self, boundary: tuple[str, ...]) -> None:
        if boundary not in self.boundaries:
            self.boundaries.add(boundary)
            raise Killed(boundary)


class Mortal:
    def __init__(self, killer: Killer, part: Any, name: str) -> None:
        self.killer, self.part, self.name = killer, part, name

    def __contains__(self, key: str) -> bool:
        return key in self.part

    def __getattr__(self, method: str) -> Any:
        real = getattr(self.part, method)
        if method not in EFFECTS[self.name]:
            return real

        def effect(*args: Any, **named: Any) -> Any:
            # What the effect is about: a key of journal or outbox, bytes or their CID, a round.
            # Fresh ciphertexts, which go to the copies, are others each time.
            about = str(args[1] if self.name == "key" and len(args) > 1 else args[0])
            about = about if (self.name, method) not in FRESH else ""
            about = f"{args[1]} {args[2]}" if (self.name, method) == ("told", "keep") else about
            self.killer.at((self.name, method, about, "before"))
            result = real(*args, **named)
            self.killer.at((self.name, method, about, "after"))
            return result

        return effect


def run_to_the_end(world: World, killer: Killer) -> tuple[Campaign, int]:
    """Start the campaign again whenever it was killed; return the last one, and how often it was."""
    deaths = 0
    while True:
        journals: list[Journal] = []

        def wrap(part: Any, name: str) -> Any:
            if name == "journal":
                journals.append(part)  # noqa: B023 - used in this turn of the loop only
            return killer.wrap(part, name)

        try:
            campaign = world.campaign(wrap)
            assert isinstance(world.run(campaign), Done)
        except Killed:
            deaths += 1
            assert deaths < 500
            for journal in journals:
                journal.close()
        else:
            return campaign, deaths


@pytest.mark.parametrize("kind", [World, CapsuleWorld])
def test_every_boundary_survives_a_kill(tmp_path: Path, kind: type[World]) -> None:
    quiet = kind(tmp_path / "quiet", settings=ROUNDS)
    undisturbed = quiet.campaign()
    quiet.run(undisturbed)

    world, killer = kind(tmp_path / "killed", settings=ROUNDS, accounts=quiet.accounts), Killer()
    if isinstance(world, CapsuleWorld):
        world.wrap_told = lambda told: killer.wrap(told, "told")
    campaign, deaths = run_to_the_end(world, killer)

    assert deaths == len(killer.boundaries) >= 80
    for name, methods in EFFECTS.items():
        for method in methods if name != "told" or kind is CapsuleWorld else ():
            assert any(b[:2] == (name, method) for b in killer.boundaries), (name, method)
    assert campaign.model.weights.tolist() == undisturbed.model.weights.tolist()
    assert [line["loss"] for line in campaign.history()] == [line["loss"] for line in undisturbed.history()]
    assert len(world.events(BountyPosted)) == 1
    assert len(world.events(RoundSettled)) == 2
    fixed = {event.round: event.digest for event in world.events(CohortFixed)}
    assert list(fixed) == ([1, 2] if kind is CapsuleWorld else [])
    for number, digest in fixed.items():  # the set that was fixed is the one that was opened
        assert campaign.records.get(Outcome, number).aggregate_digest == digest
    world.check_money()
    quiet.check_money()
    assert campaign.payouts() == undisturbed.payouts()
    # What was settled is what the journal says, and no score was asked for twice.
    for settled in world.events(RoundSettled):
        publication: Publication = campaign.records.get(Publication, settled.round)
        assert settled.new_model_digest == publication.model_digest
    assert {total.score_bits for total in campaign.revealed().values()} == {32}


@pytest.mark.parametrize("ended", ["failed", "overdue"])
def test_a_kill_in_a_round_that_is_not_settled(tmp_path: Path, ended: str) -> None:
    world, killer = World(tmp_path, settings=ROUNDS), Killer()
    if ended == "failed":
        world.miners[1].absent = world.miners[2].absent = frozenset({1})
        campaign, _ = run_to_the_end(world, killer)
        assert [line["ended"] for line in campaign.history()] == ["failed", "settled"]
    else:
        first = world.campaign()
        first.tick()
        for _ in range(3):
            world.let_mines_act(first)
        world.move(200)
        campaign, _ = run_to_the_end(world, killer)
        assert [line["ended"] for line in campaign.history()] == ["overdue"]
    assert any("expire" in b[2] for b in killer.boundaries)
    world.check_money()
