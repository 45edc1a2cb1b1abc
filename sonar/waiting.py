"""Waiting, never silently: each wait says for what and until when, in chain time.

`drive` runs a state machine whose `tick` does what can be done now and returns what it waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sonar.errors import BlobNotFound, ChainUnavailable, StoreUnavailable, TransactionStuck, WaitTimeout
from sonar.progress import Done, Progress, Waiting

T = TypeVar("T")
Tick = Callable[[], Waiting | Done]
PASSING_FAULTS = (BlobNotFound, ChainUnavailable, StoreUnavailable, TransactionStuck)
"""What may pass by itself: `drive` tells it and tries again."""
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class Waiter:
    """Waits for conditions. `now_s` returns chain time; it is asked only where a wait has an end."""

    def __init__(
        self,
        now_s: Callable[[], int],
        progress: Progress | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        poll_s: float = 0.2,
    ) -> None:
        self._now_s, self._sleep, self._poll_s = now_s, sleep, poll_s
        self._progress = progress or Progress()

    def wait_for(self, what: str, until_s: int | None, probe: Callable[[], T | None]) -> T:
        """Call `probe` until it returns something other than None, and return that.

        Raises WaitTimeout when chain time reaches `until_s`, and what `probe` raises.
        """
        while (found := probe()) is None:
            if until_s is not None and (now_s := self._now_s()) >= until_s:
                # It may have come true between the probe and the look at the clock.
                if (found := probe()) is not None:
                    return found
                raise WaitTimeout(f"waited for {what} until chain time {until_s}; it is {now_s} now")
            self._progress.waiting(what, until_s)
            self._sleep(self._poll_s)
        return found


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
