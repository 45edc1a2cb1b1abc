"""Runs a state machine, and waits, never silently: each wait says for what and until when, in chain time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sonar.errors import BlobNotFound, ChainUnavailable, StoreUnavailable, TransactionStuck
from sonar.progress import Done, Progress, Waiting

Tick = Callable[[], Waiting | Done]
PASSING_FAULTS = (BlobNotFound, ChainUnavailable, StoreUnavailable, TransactionStuck)
"""What may pass by itself: `drive` tells it and tries again."""
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


def drive(
    tick: Tick,
    progress: Progress,
    *,
    poll_s: float = 0.25,
    patience_s: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Done:
    """Call `tick` until it returns Done, and return that; tell every wait.

    A fault that may pass (PASSING_FAULTS) is told and tried again with growing pauses. It is raised when
    nothing else has happened for `patience_s`; every other exception is raised at once.
    """
    failing_since: float | None = None
    failures = 0
    while True:
        try:
            result = tick()
        except PASSING_FAULTS as fault:
            failing_since = monotonic() if failing_since is None else failing_since
            if monotonic() - failing_since >= patience_s:
                raise
            pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            if failures == 0:
                progress.problem(fault, f"trying again for {patience_s:.0f} s. {fault.hint}".rstrip())
            failures += 1
            sleep(pause_s)
            continue
        if failures:
            progress.note(f"works again after {failures} failed tries")
        failing_since, failures = None, 0
        progress.emit(result)
        if isinstance(result, Done):
            return result
        sleep(poll_s)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends, so that it is done whole; a second one is not held.

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
