"""`mine run`: the node's loop as a process, which ends between two effects when told to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from mine.node import Node, Options
from mine.wiring import Mine
from sonar.errors import ChainUnavailable, RpcError, StoreUnavailable, StoreUnusable
from sonar.succeeding import fault_of
from sonar.telling.waiting import drive, patiently

_NAP_S = 0.25
"""The longest time between two checks for a signal."""


class Stop:
    """Holds a signal back until `check`, so that no effect is cut in two; a second signal ends at once."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._pending: int | None = None

    def check(self) -> None:
        """If a signal came, do now what would have been done then: raise, as a rule."""
        if self._pending is not None:
            handler = self._before[self._pending]
            if callable(handler):
                handler(self._pending, None)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Take SIGTERM and Ctrl-C over for a while."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._take)
        try:
            yield
        finally:
            for taken, handler in self._before.items():
                signal.signal(taken, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.check()
        self._pending = number


def serve(
    mine: Mine,
    password_file: Path | None,
    *,
    max_rounds: int | None,
    join_all: bool,
    exit_when_done: bool,
    claim: bool,
) -> None:
    """Run the node until it is done, or told to stop.

    After a reboot, chain and store may come up later. Only the chain is waited for here: a reveal saves a
    stake, and needs no store.
    """
    policy = mine.policy if max_rounds is None else replace(mine.policy, max_rounds=max_rounds)
    password = mine.password(password_file)
    mine.unlock(password)  # a wrong password is reported before any wait
    patiently(lambda: mine.market, mine.progress)
    try:
        mine.opened  # noqa: B018 - what is wrong with it is told now
    except StoreUnavailable as fault:
        if isinstance(fault, StoreUnusable) and not mine.book.at_risk():
            raise
        mine.progress.problem(fault, f"trying again when it is needed. {fault.hint}".rstrip())
    _tell_of_accounts(mine)
    node = mine.node(password, policy, Options(join_all, exit_when_done, claim))
    stop = Stop()
    mine.progress.note(f"mine {mine.address} works on {mine.network.name!r}")
    with stop.holding():
        drive(
            node.tick,
            mine.progress,
            poll_s=mine.poll_s,
            sleep=lambda seconds: idle(node, stop, seconds),
        )


def _tell_of_accounts(mine: Mine) -> None:
    """Tell if the chain knows of another successor of this mine's account than its home does."""
    with suppress(RpcError, ChainUnavailable):  # whatever needs the chain tells that better
        if fault := fault_of(mine):
            told = "`mine rotate` again, with --to and the successor's key file if that is not in this home"
            mine.progress.problem(fault, f"{told}; if that was not you, see docs/keys.md")


def idle(node: Node, stop: Stop, seconds: float) -> None:
    """Spend a pause on blindings for updates to come, and sleep for the rest of it."""
    until = time.monotonic() + seconds
    while (rest_s := until - time.monotonic()) > 0:
        stop.check()
        if not node.fill_pool():
            time.sleep(min(rest_s, _NAP_S))
    stop.check()
