"""Waiting ends when what is waited for comes, says when it does not, and outlives passing faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sonar.errors import ChainUnavailable, ConfigError, WaitTimeout
from sonar.progress import Done, ListSink, Note, Problem, Progress, Waiting
from sonar.waiting import Waiter, drive
from tests.chain_kit import Clock


def make_waiter(clock: Clock) -> tuple[Waiter, ListSink]:
    sink = ListSink()
    return Waiter(lambda: int(clock()), Progress(sink), sleep=clock.sleep, poll_s=1), sink


def test_it_returns_what_the_probe_found() -> None:
    clock = Clock()
    waiter, sink = make_waiter(clock)
    assert waiter.wait_for("three", 10, lambda: "now" if clock() >= 3 else None) == "now"
    assert sink.events == [Waiting("three", 10)]
    assert waiter.wait_for("nothing", None, lambda: 0) == 0  # only None means "not yet"


def test_it_says_what_did_not_come() -> None:
    clock = Clock()
    waiter, _ = make_waiter(clock)
    with pytest.raises(WaitTimeout, match="waited for rain until chain time 5; it is 5 now"):
        waiter.wait_for("rain", 5, lambda: None)
    assert clock() == 5


def test_it_looks_once_more_after_the_clock() -> None:
    clock, seen = Clock(9), []

    def probe() -> bool | None:
        seen.append(clock())
        return True if len(seen) == 2 else None

    waiter, _ = make_waiter(clock)
    assert waiter.wait_for("the last moment", 9, probe)


def ticks(*results: object) -> Callable[[], Waiting | Done]:
    each: Iterator[object] = iter(results)

    def tick() -> Waiting | Done:
        result = next(each)
        if isinstance(result, BaseException):
            raise result
        assert isinstance(result, Waiting | Done)
        return result

    return tick


def run(tick: Callable[[], Waiting | Done], patience_s: float = 60) -> tuple[Done, ListSink, Clock]:
    clock, sink = Clock(), ListSink()
    done = drive(tick, Progress(sink), poll_s=0.25, patience_s=patience_s, sleep=clock.sleep, monotonic=clock)
    return done, sink, clock


def test_drive_tells_every_wait_and_ends_with_done() -> None:
    done, sink, clock = run(ticks(Waiting("a", 1), Waiting("a", 1), Waiting("b"), Done("all")))
    assert done == Done("all")
    assert sink.events == [Waiting("a", 1), Waiting("b"), Done("all")]
    assert clock() == 0.75


def test_drive_goes_on_through_passing_faults_and_tells_them_once() -> None:
    fault = ChainUnavailable("gone", hint="start it")
    _, sink, clock = run(ticks(fault, fault, fault, Waiting("a"), Done("all")))
    assert sink.events == [
        Problem("gone", "trying again for 60 s. start it"),
        Note("works again after 3 failed tries"),
        Waiting("a"),
        Done("all"),
    ]
    assert clock() == 0.5 + 1 + 2 + 0.25


def test_drive_gives_up_when_its_patience_ends() -> None:
    def tick() -> Waiting | Done:
        raise ChainUnavailable("gone")

    with pytest.raises(ChainUnavailable):
        run(tick, patience_s=30)


def test_other_errors_end_it_at_once() -> None:
    with pytest.raises(ConfigError):
        run(ticks(ConfigError("a", "b"), Done("never")))
