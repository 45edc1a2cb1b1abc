"""A release survives kill -9 at each of its steps: what was used is found again, and nothing is paid twice.

The mine is a process of its own here, forked with its view of the chain, and killed by a signal that nobody
can catch, just before one of its effects.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mine.consent import Policy
from mine.privacy.accounts import Privacy
from mine.privacy.policy import Budget, PrivacyPolicy
from mine.work import release
from mine.work.state import Book
from mine.work.trainer import Sums
from sonar.home.folder import PrivateFolder
from sonar.home.journal import Journal
from sonar.protocol.events import BountyPosted
from tests.integration.mine_kit import World, write_csv
from tests.integration.test_mine_privacy import ONE_AND_A_HALF, PRICE, Home, post, replace_noise

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mines=2, quick=False)


class Steps:
    """Counts effects, writes down what they were, and kills its own process before number `at`."""

    def __init__(self, at: int, told: Path) -> None:
        self.at, self.told, self.number = at, told, 0

    def before(self, what: str) -> None:
        self.number += 1
        with self.told.open("a") as file:
            file.write(f"{self.number} {what}\n")
        if self.number == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def effect(*args: Any, **kwargs: Any) -> Any:
            self.before(name)
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, effect)


EFFECTS = [
    (Journal, "put"),
    (Journal, "delete"),
    (Journal, "_undo"),
    (PrivateFolder, "put"),
    (release, "noisy"),
    (Sums, "make"),
    (Book, "join"),
    (Privacy, "spend"),
]


def join_and_die(world: World, posted: BountyPosted, at: int, told: Path) -> None:
    """In a process of its own: join, and be killed before effect number `at`, of which `told` hears."""
    monkeypatch, steps = pytest.MonkeyPatch(), Steps(at, told)
    for owner, name in EFFECTS:
        steps.wrap(monkeypatch, owner, name)
    home = Home(world)
    digest = home.join(posted)
    steps.before(f"joined {digest}")


def life(world: World, posted: BountyPosted, at: int, told: Path) -> int | None:
    process = FORK.Process(target=join_and_die, args=(world, posted, at, told))
    process.start()
    process.join()
    return process.exitcode


def test_killed_at_each_step_of_a_release(world: World) -> None:
    home = Home(world)
    home.give(ONE_AND_A_HALF)
    told = world.folder / "told"
    posted = post(world)
    number = draws = 0
    digests: set[str] = set()
    seen: list[str] = []
    while True:
        number += 1
        told.write_text("")
        if life(world, posted, number, told) == 0:
            break
        seen.append(told.read_text().splitlines()[-1].split()[1])
        charges = Home(world).ledger.charges()
        assert len(charges) <= 1, seen
        draws += sum(" noisy" in line for line in told.read_text().splitlines())
        if charges:  # from now on, whatever is killed: the same sums
            digests.add(charges[0].sums)
            assert all(one.bounty == posted.bounty for one in home.book.joined())
    assert {"put", "make", "spend"} <= set(seen)
    assert len(digests) == 1
    ((joined,), (charge,)) = Home(world).book.joined(), Home(world).ledger.charges()
    assert charge.rho == PRICE
    assert joined.map_digest == Home(world).join(posted)
    assert draws < number  # those of the lives before it was recorded


def test_killed_at_each_step_of_a_life_that_begins_anew(world: World) -> None:
    """As above, but each life has a home of its own: one is killed once, and started again."""
    posted, whole = post(world), world.folder / "whole"
    Home(world).give(ONE_AND_A_HALF)
    assert life(world, posted, -1, whole) == 0
    names = [line.split()[1] for line in whole.read_text().splitlines()]
    assert {"noisy", "spend", "put", "make", "join", "joined"} <= set(names)
    world.home(0).rename(world.folder / "used")
    recorded = names.index("spend") + 1
    for at in range(1, len(names) + 1):
        home, told = Home(world), world.folder / f"told-{at}"
        home.give(ONE_AND_A_HALF)
        assert life(world, posted, at, told) == -signal.SIGKILL
        before = Home(world).ledger.charges()
        assert (not before) or at > recorded, names[at - 1]
        digest = Home(world).join(posted)
        after = Home(world).ledger.charges()
        assert len(after) == 1
        assert not before or after == before, names[at - 1]
        if "joined" in told.read_text():
            assert digest in told.read_text()
        home.folder.rename(world.folder / f"home-{at}")


def race(world: World, posted: BountyPosted, folder: Path, found: Any) -> None:
    home = Home(world, 0, folder)
    try:
        found.put((home.join(posted), ""))
    except Exception as error:
        found.put(("", str(error)))


def homes_of_one_owner(world: World, count: int) -> list[Path]:
    """Homes with the same data and one ledger."""
    folders = [world.folder / f"home-{i}" for i in range(count)]
    world.policy = _sharing(world)
    for folder in folders:
        folder.mkdir()
        write_csv(folder / "data.csv", seed=5)
        Home(world, 0, folder).give(ONE_AND_A_HALF)
    return folders


def _sharing(world: World) -> Policy:
    return replace(world.policy, privacy=PrivacyPolicy(ledger=str(world.folder / "shared.sqlite")))


def run_all(world: World, jobs: list[tuple[BountyPosted, Path]]) -> list[tuple[str, str]]:
    found = FORK.Queue()
    processes = [FORK.Process(target=race, args=(world, posted, folder, found)) for posted, folder in jobs]
    for process in processes:
        process.start()
    told = [found.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return told


def test_processes_that_release_the_same_at_once_use_one_noise(world: World) -> None:
    posted, folders = post(world), homes_of_one_owner(world, 4)
    told = run_all(world, [(posted, folder) for folder in folders])
    assert {error for _, error in told} == {""}
    assert len({digest for digest, _ in told}) == 1
    assert len(Home(world, 0, folders[0]).ledger.charges()) == 1


def test_processes_that_release_different_things_at_once_keep_the_one_budget(world: World) -> None:
    folders = homes_of_one_owner(world, 4)
    bounties = [post(world, replace_noise(target_unit=200 + i)) for i in range(4)]
    told = run_all(world, list(zip(bounties, folders, strict=True)))
    assert sum(bool(digest) for digest, _ in told) == 1
    assert all("too much" in error for digest, error in told if not digest)
    assert len(Home(world, 0, folders[0]).ledger.charges()) == 1


def test_a_home_that_shares_no_ledger_counts_alone(world: World) -> None:
    """What the shared ledger is for: without one, two homes each spend the whole budget."""
    posted = post(world)
    for name in ("one", "two"):
        (world.folder / name).mkdir()
        write_csv(world.folder / name / "data.csv", seed=5)
        home = Home(world, 0, world.folder / name)
        home.give(Budget(ONE_AND_A_HALF.epsilon))
        home.join(posted)
        assert len(home.ledger.charges()) == 1
