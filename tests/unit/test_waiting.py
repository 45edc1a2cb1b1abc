"""A state machine is run to its end, through waits that are told and faults that pass."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from sonar.errors import (
    CapsuleUnavailable,
    ChainUnavailable,
    ConfigError,
    JournalBlocked,
    JournalError,
    RpcError,
)
from sonar.telling.progress import Done, ListSink, Note, Problem, Progress, Waiting
from sonar.telling.waiting import PATIENCE_S, drive, interrupts_held, patiently
from tests.chain_kit import Clock


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
        Problem("gone", "trying again for 60 s; start it"),
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


def test_another_reason_for_the_same_wait_is_told() -> None:
    refused, hangs = ChainUnavailable("refused"), ChainUnavailable("hangs")
    _, sink, _ = run(ticks(refused, refused, hangs, hangs, Done("all")))
    told = [event.error for event in sink.events if isinstance(event, Problem)]
    assert told == ["refused", "hangs"]


@pytest.mark.parametrize(
    "fault",
    [
        JournalBlocked("the disk is full"),
        RpcError("eth_call: limit exceeded"),
        CapsuleUnavailable("0x1 is gone"),
    ],
)
def test_a_full_disk_and_a_nodes_limit_may_pass(fault: Exception) -> None:
    assert run(ticks(fault, Done("all")))[0] == Done("all")


def test_patience_lasts_for_days_and_is_told() -> None:
    clock, sink = Clock(), ListSink()

    def connect() -> int:
        if clock() < PATIENCE_S - 60:
            raise ChainUnavailable("gone")
        return 7

    assert patiently(connect, Progress(sink), sleep=clock.sleep, monotonic=clock) == 7
    assert sink.events[0] == Problem("gone", "trying again for 7 days")


@pytest.mark.parametrize("fault", [ConfigError("a", "b"), JournalError("of another version")])
def test_other_errors_end_it_at_once(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        run(ticks(fault, Done("never")))


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def interrupted(step: Callable[[], object]) -> None:
    with interrupts_held():
        step()


def test_a_held_interrupt_comes_after_the_step() -> None:
    done: list[str] = []

    def step() -> None:
        press()
        done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        interrupted(step)
    assert done == ["whole"]
    with pytest.raises(KeyboardInterrupt):  # and what held it is gone
        press()


def test_a_second_interrupt_comes_at_once() -> None:
    done: list[str] = []

    def step() -> None:
        press()
        press()
        done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        interrupted(step)
    assert done == []


def test_an_interrupt_is_not_lost_to_a_fault() -> None:
    def step() -> None:
        press()
        raise KeyError("gone")

    with pytest.raises(KeyboardInterrupt):
        interrupted(step)


def test_beside_the_main_thread_nothing_is_held() -> None:
    seen: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
