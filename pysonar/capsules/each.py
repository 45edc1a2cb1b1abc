"""Asks several capsules the same at once, without waiting for those that hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from queue import Empty, Queue
from typing import TypeVar

from pysonar.capsules.client import Capsule
from sonar.errors import CapsuleUnavailable, SonarError
from sonar.protocol.ids import Address

T = TypeVar("T")


def start(
    capsules: Collection[Capsule], act: Callable[[Capsule], T]
) -> Queue[tuple[Address, T | SonarError]]:
    """Run `act` on each; what it returns or raises comes in the queue, in any order."""
    came: Queue[tuple[Address, T | SonarError]] = Queue()

    def run(capsule: Capsule) -> None:
        try:
            came.put((capsule.account, act(capsule)))
        except SonarError as fault:
            came.put((capsule.account, fault))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for it for ever
            told = f"the capsule {capsule.account} at {capsule.place}: {error!r}"
            came.put((capsule.account, CapsuleUnavailable(told)))

    for capsule in capsules:
        # Not a pool: a program that ends must not wait for a capsule that hangs.
        threading.Thread(target=run, args=(capsule,), daemon=True).start()
    return came


def each(
    capsules: Collection[Capsule], act: Callable[[Capsule], T], enough: int, patience_s: float
) -> tuple[dict[Address, T], dict[Address, SonarError]]:
    """Return what `act` returns of the first `enough` capsules, and what is wrong with others by then."""
    came, until_s = start(capsules, act), time.monotonic() + patience_s
    good, faults = dict[Address, T](), dict[Address, SonarError]()
    while len(good) < enough and len(good) + len(faults) < len(capsules):
        try:
            account, found = came.get(timeout=max(until_s - time.monotonic(), 0.0))
        except Empty:
            break
        if isinstance(found, SonarError):
            faults[account] = found
        else:
            good[account] = found
    return good, faults
