"""Runs a state machine, and waits, never silently: each wait says for what and until when, in chain time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from sonar.errors import (
    BlobNotFound,
    CapsuleUnavailable,
    ChainUnavailable,
    ChainUnusable,
    JournalBlocked,
    RpcError,
    StoreUnavailable,
    StoreUnusable,
    TransactionStuck,
)
from sonar.telling.progress import Done, Progress, Waiting

T = TypeVar("T")
Tick = Callable[[], Waiting | Done]
PASSING_FAULTS = (
    BlobNotFound,
    CapsuleUnavailable,
    ChainUnavailable,
    JournalBlocked,
    RpcError,
    StoreUnavailable,
    TransactionStuck,
)
"""Faults that may pass, such as a full disk: they are reported and retried."""
LASTING_FAULTS = (ChainUnusable, StoreUnusable)
"""Those among them that do not pass."""
PATIENCE_S = 7 * 24 * 3600.0
"""How long they are retried: giving up before the chain is back loses stakes and escrows."""
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


def drive(
    tick: Tick,
    progress: Progress,
    *,
    poll_s: float = 0.25,
    soon_s: float | None = None,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Done:
    """Call `tick`, `patiently`, until it returns Done, and return that; report every wait.

    It is called again after `poll_s`. With `soon_s`, it is called sooner after each change of what it waits
    for, and then after twice as long each time: what comes next in a chain of short steps often comes at
    once.
    """
    pause_s, waits_for = poll_s, ""
    while True:
        result = patiently(tick, progress, patience_s=patience_s, sleep=sleep, monotonic=monotonic)
        progress.emit(result)
        if isinstance(result, Done):
            return result
        if soon_s is not None:
            pause_s = min(soon_s if result.what != waits_for else 2 * pause_s, poll_s)
            waits_for = result.what
        sleep(pause_s)


def patiently(
    act: Callable[[], T],
    progress: Progress,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """Return what `act` returns.

    A fault that may pass (PASSING_FAULTS) is reported once, and `act` is called again after growing pauses.
    After `patience_s`, the fault is raised. LASTING_FAULTS and all other exceptions are raised at once.
    """
    since_s, failures, told = 0.0, 0, ""
    while True:
        try:
            result = act()
        except PASSING_FAULTS as fault:
            since_s = monotonic() if failures == 0 else since_s
            if isinstance(fault, LASTING_FAULTS) or monotonic() - since_s >= patience_s:
                raise
            if str(fault) != told:
                progress.problem(
                    fault, "; ".join(filter(None, (f"trying again for {_span(patience_s)}", fault.hint)))
                )
                told = str(fault)
            sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1
            continue
        if failures:
            progress.note(f"works again after {failures} failed tries")
        return result


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds:.0f} s"


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block has ended, so that it completes; a second one is not delayed.

    Signals reach the main thread only: elsewhere, and where nothing handles them, this does nothing.
    """
    before: dict[int, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(number)):
                before[number] = handler
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        if len(held) > 1:
            before[number](number, frame)

    for taken in before:
        signal.signal(taken, hold)
    try:
        yield
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)
        if held:
            before[held[0]](held[0], None)
