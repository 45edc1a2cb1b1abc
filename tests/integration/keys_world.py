"""Scientists' worlds in which the Paillier key changes while a bounty runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pysonar.campaign.lifecycle import Campaign
from pysonar.keys import keyfile
from pysonar.keys.base import Keyring
from pysonar.keys.holder import KeyHolder
from pysonar.keys.key import Key
from pysonar.keys.keyfile import files_of, next_file
from pysonar.keys.local import LocalHolder
from sonar.home.journal import Journal
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import CapsuleWorld


@cache
def primes(number: int) -> tuple[int, int]:
    """Primes of further keys of 1024 bits, each made once."""
    p, q = Key.generate(1024, insecure=True).unsafe_primes()
    return int(p), int(q)


def ring_in(folder: Path) -> Keyring:
    """The keys in a folder, as of a program that was just started."""
    return Keyring(Key.load(folder / "key.json", "test"), lambda: files_of(folder, "key"), "test")


def rotate(folder: Path, key: Key) -> Path:
    """Ask for a change of the key, as `pysonar rotate` does."""
    path = next_file(folder, "key")
    key.save_next(path, "test", keyfile.named(folder / "key.json").ledger, dev=True)
    return path


class PlainKeys(World):
    """`World` whose key may change."""

    def holder(self) -> KeyHolder:
        return LocalHolder(ring_in(self.folder))

    def rotate(self, number: int = 1) -> Path:
        return rotate(self.folder, Key(*primes(number)))


@dataclass
class VeiledKeys(CapsuleWorld):
    """`CapsuleWorld` whose key may change."""

    def ring(self) -> Keyring:
        return ring_in(self.folder)

    def rotate(self, number: int = 1) -> Path:
        return rotate(self.folder, Key(*primes(number)))


@dataclass
class AuditedKeys(VeiledKeys):
    """The same, audited."""

    audit: bool = True


class Killed(BaseException):
    """No handler of the program sees it, as none sees kill -9."""


EFFECTS = {
    "journal": ("put",),
    "store": ("put", "pin"),
    "copies": ("put", "pin"),
    "key": ("holds", "choose", "open_sum", "score", "turn", "encrypt"),
    "outbox": ("submit",),
}


@dataclass
class Fate:
    """Kills the program at its effects of these numbers, before them or after, and asks for another key at
    some. `seen` counts effects.
    """

    world: Any
    kills: dict[int, bool] = field(default_factory=dict)
    rotate_at: Iterable[int] = ()
    seen: int = 0
    deaths: int = 0
    turns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = list(self.rotate_at)

    def effect(self, name: str, method: str, act: Any) -> Any:
        self.seen += 1
        if self.left and self.seen >= self.left[0]:
            self.left.pop(0)
            self.world.rotate(len(self.left) + 1)
        if (name, method) == ("key", "turn"):
            self.turns.append(self.seen)
        kill_after = self.kills.get(self.seen)
        if kill_after is False:
            self.deaths += 1
            raise Killed(name, method)
        result = act()
        if kill_after:
            self.deaths += 1
            raise Killed(name, method)
        return result


class Mortal:
    """A part of the program, whose effects go by a fate."""

    def __init__(self, fate: Fate, part: Any, name: str) -> None:
        self.fate, self.part, self.name = fate, part, name

    def __contains__(self, key: str) -> bool:
        return key in self.part

    def __getattr__(self, method: str) -> Any:
        real = getattr(self.part, method)
        if method not in EFFECTS[self.name]:
            return real
        return lambda *args, **named: self.fate.effect(self.name, method, lambda: real(*args, **named))


def run_to_the_end(world: World, fate: Fate) -> Campaign:
    """Start the campaign again whenever it was killed, and return the last one."""
    while True:
        journals: list[Journal] = []

        def wrap(part: Any, name: str) -> Any:
            if name == "journal":
                journals.append(part)  # noqa: B023 - used in this turn of the loop only
            return Mortal(fate, part, name)

        try:
            campaign = world.campaign(wrap)
            world.run(campaign)
        except Killed:
            for journal in journals:
                journal.close()
        else:
            return campaign
