"""A cheating mine as a process of its own: `python -m tests.e2e.hostile_process --home H --attack NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mine.wiring import locked
from sonar.home import keystore
from sonar.telling.progress import JsonLinesSink
from sonar.telling.waiting import drive
from tests.attacks.hostile import HostileMine, random_slots, times

ATTACKS: dict[str, Callable[..., HostileMine]] = {
    "random": partial(HostileMine, forge=random_slots),
    "times-ten": partial(HostileMine, forge=times(10)),
    "minus-three-late": partial(HostileMine, forge=times(-3, from_round=4)),
    "never-reveals": partial(HostileMine, reveals=False),
    "withholds": partial(HostileMine, publishes_blob=False),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--attack", choices=ATTACKS, required=True)
    given = parser.parse_args()
    with locked(given.home, JsonLinesSink(sys.stdout)) as home:
        dataset = home.book.datasets()[0]
        outbox = home.outbox(home.unlock(keystore.read_password(given.password_file)))
        cheat = ATTACKS[given.attack](home.market, home.store, outbox, dataset)
        drive(cheat.tick, home.progress)


if __name__ == "__main__":
    main()
