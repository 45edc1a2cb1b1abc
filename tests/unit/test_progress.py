"""The lines that one process writes and another reads: nothing is lost, and nothing else is accepted."""

from __future__ import annotations

import errno
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import fields
from typing import IO, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import DataError, RemoteError
from sonar.protocol.ids import ETHER, Address
from sonar.telling import progress as p
from sonar.telling import text
from sonar.telling.documents import CampaignRound, CampaignSummary, MineRound, MineSummary
from sonar.telling.progress import (
    Event,
    JsonLinesSink,
    Line,
    ListSink,
    PlainSink,
    Progress,
    Sink,
    format_line,
    parse_line,
)
from tests.unit.pty_kit import FakeTerminal
from tests.unit.test_documents import documents_of

TOKEN = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "int": st.integers(-(2**53) + 1, 2**53 - 1),
    "Amount": st.integers(0, 2**200),
    "ChainTime | None": st.none() | st.integers(0, 2**40 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "RoundSummary": documents_of(MineRound) | documents_of(CampaignRound),
    "Summary": st.none() | documents_of(MineSummary) | documents_of(CampaignSummary),
}
EVENTS = st.one_of(
    *(
        st.builds(kind, **{f.name: BY_TYPE[str(f.type)] for f in fields(kind) if f.name != "kind"})
        for kind in get_args(Event)
    )
)
LINES = st.builds(Line, TEXT, st.floats(0, 2**40, exclude_max=True), EVENTS)


@given(LINES)
def test_every_line_is_read_as_it_was_written(line: Line) -> None:
    text = format_line(line)
    assert "\n" not in text
    assert parse_line(text) == line


GOOD = {"party": "mine-01", "at_s": 1.5, "kind": "state", "bounty": "0xab", "round": 1, "state": "revealed"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"kind": None}, "kind"),
        ({"extra": 1}, "extra"),
        ({"round": "1"}, "round"),
        ({"round": 1.0}, "round"),
        ({"round": True}, "round"),
        ({"state": 7}, "state"),
        ({"party": 7}, "party"),
        ({"at_s": "now"}, "at_s"),
        ({"at_s": True}, "at_s"),
        ({"at_s": -1.0}, "at_s"),
        ({"at_s": 2.0**40}, "at_s"),
        ({"at_s": 2**63 - 1}, "at_s"),
        ({"at_s": 10**400}, "at_s"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    parse_line(json.dumps(GOOD))
    with pytest.raises(RemoteError, match=named):
        parse_line(json.dumps(GOOD | change))


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "1", "null", "{}", '{"kind":"note"}', "[" * 100_000, "x" * 2_000_000]
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_line(text)
    assert len(str(caught.value)) < 500


def test_the_command_lines_error_is_a_line_too() -> None:
    line = parse_line('{"kind": "problem", "error": "no", "hint": "try"}')
    assert line == Line("", 0.0, p.Problem("no", "try"))


def test_the_same_wait_is_told_once() -> None:
    sink = ListSink()
    told = Progress(sink, "me", clock=lambda: 5.0)
    for _ in range(3):
        told.waiting("reveals", 100)
    told.timing("read", 0.1)  # work between two polls of the same wait
    told.waiting("reveals", 100)
    told.waiting("reveals", 101)
    told.note("one came")
    told.waiting("reveals", 101)
    waits = [event for event in sink.events if isinstance(event, p.Waiting)]
    assert [wait.until_s for wait in waits] == [100, 101, 101]
    assert {line.party for line in sink.lines} == {"me"}


def test_time_is_told_also_when_the_block_raises() -> None:
    sink = ListSink()
    with pytest.raises(ZeroDivisionError), Progress(sink).timed("divide", round=2):
        _ = 1 / 0
    [event] = sink.events
    assert isinstance(event, p.Timing)
    assert (event.part, event.round) == ("divide", 2)
    assert event.seconds >= 0


def test_errors_are_told_with_their_hint() -> None:
    sink = ListSink()
    Progress(sink).problem(DataError("age", "is a text", hint="make it a number"))
    assert sink.events == [p.Problem("age: is a text", "make it a number")]


def test_json_lines_are_flushed_whole() -> None:
    class Stream(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    stream = Stream()
    told = Progress(JsonLinesSink(stream), "mine-01")
    told.note("a\nb")
    told.emit(p.Done("over", MineSummary(TOKEN, 10**9)))
    lines = stream.getvalue().splitlines()
    assert [parse_line(line).event for line in lines] == [
        p.Note("a\nb"),
        p.Done("over", MineSummary(TOKEN, 10**9)),
    ]
    assert stream.flushed == 2


def test_people_get_one_line_of_harmless_text_per_event() -> None:
    out = io.StringIO()
    told = Progress(PlainSink(out), "mine-01", clock=lambda: 0.0)
    told.note("[red]not markup[/red] \x1b[2J " + "long " * 30)
    told.transaction("commit", "0x" + "ab" * 32, 41_334, 2 * 10**12)
    told.timing("hidden", 1.0)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "[red]not markup[/red]" in lines[0]
    assert "\x1b" not in out.getvalue()
    assert "commit mined in 0xabab…abab: 41,334 gas, 2,000 gwei" in lines[1]


@pytest.mark.parametrize(("asset", "fee"), [(ETHER, "0.002 ether"), (TOKEN, "units of 0xA0b8…eB48")])
def test_people_are_told_what_a_round_paid_in_its_own_unit(asset: Address, fee: str) -> None:
    told = p.describe(p.Round("0x12", 1, MineRound("paid", asset, 3256, 2 * 10**15, reward_units=10**16)))
    assert told.startswith("bounty 0x12 round 1: paid, 32.6% of the round's reward; reward ")
    assert told.endswith(fee)


def test_a_share_of_a_round_without_reward_is_not_told() -> None:
    """Of a reward of 0, a share is nothing: the fee alone was paid."""
    told = p.describe(p.Round("0x12", 4, MineRound("paid", ETHER, 10_000, 6 * 10**15)))
    assert told == "bounty 0x12 round 4: paid; fee 0.006 ether"


def test_a_round_says_why_and_nothing_of_what_there_was_not() -> None:
    lost = MineRound("no share", ETHER, stake_units=10**17, why="left out: far from the others")
    told = p.describe(p.Round("0x12", 2, lost))
    assert told == "bounty 0x12 round 2: no share (left out: far from the others); stake back 0.1 ether"
    assert p.describe(p.Round("0x12", 3, MineRound("skipped", ETHER))) == "bounty 0x12 round 3: skipped"


def test_people_are_told_each_thing_once() -> None:
    """A transaction, and the end of a round, say what the states between them would say again."""
    out = io.StringIO()
    told = Progress(PlainSink(out), "mine-01", clock=lambda: 0.0)
    states = ("trained", "committing", "committed", "revealing", "revealed", "paid", "skipped", "forfeit")
    for state in states:
        told.state("0x12", 1, state)
    said = [line.rpartition(": ")[2] for line in out.getvalue().splitlines()]
    assert said == ["trained", "skipped", "forfeit"]


def test_a_wait_whose_count_grows_is_told_now_and_then() -> None:
    out, now = io.StringIO(), [0.0]
    told = Progress(PlainSink(out), clock=lambda: now[0])
    for at_s, come in ((0, 0), (1, 1), (2, 3), (11, 8), (12, 9)):
        now[0] = float(at_s)
        told.waiting(f"mines to commit to round 1 ({come} of at most 10 have)", 100)
    told.waiting("mines to reveal round 1 (0 of 10 have)", 200)
    told.waiting("mines to commit to round 2 (0 of at most 10 have)", 300)
    told.waiting("2 more mines to commit in round 2 (1 of at most 3 have)")
    told.waiting("1 more mine to commit in round 2 (2 of at most 3 have)")
    said = [line.partition("waiting for ")[2] for line in out.getvalue().splitlines()]
    assert [each.partition(" until")[0] for each in said] == [
        "mines to commit to round 1 (0 of at most 10 have)",
        "mines to commit to round 1 (8 of at most 10 have)",
        "mines to reveal round 1 (0 of 10 have)",
        "mines to commit to round 2 (0 of at most 10 have)",
        "2 more mines to commit in round 2 (1 of at most 3 have)",
    ]


def test_a_voice_about_a_bounty_names_it() -> None:
    sink = ListSink()
    mine = Progress(sink, "clinic")
    mine.note("here")
    mine.about("diabetes").note("posted")
    Progress(sink).about("diabetes").note("posted")
    assert [line.party for line in sink.lines] == ["clinic", "clinic/diabetes", "diabetes"]


def test_a_terminal_gets_lines_that_fit_it() -> None:
    """On a terminal of 60 columns: broken between words, under the text; a long id stays whole."""
    screen = FakeTerminal(columns=60)
    with os.fdopen(screen.theirs, "w") as terminal:
        told = Progress(PlainSink(terminal), "mine-01", clock=lambda: 0.0)
        told.waiting("2 more mines to commit in round 1 (1 of at most 3 have)", int(time.time()))
        told.note("posted bounty 0x" + "ab" * 32)
        lines = screen.lines()
    assert len(lines) == 4
    assert all(len(line) <= 60 or "0xab" in line for line in lines)
    assert all(line.startswith(" " * 10) for line in (lines[1], lines[3]))
    assert "0x" + "ab" * 32 in lines[3]


def test_a_terminal_gets_colours_unless_its_user_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Progress(PlainSink(out)).problem("bad")
    assert out.getvalue().startswith("\x1b[31m")
    monkeypatch.setenv("NO_COLOR", "1")
    Progress(PlainSink(out := Terminal())).problem("bad")
    assert "\x1b" not in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "")  # as good as not there, by no-color.org
    Progress(PlainSink(out := Terminal())).problem("bad")
    assert "\x1b" in out.getvalue()
    monkeypatch.setenv("TERM", "dumb")
    Progress(PlainSink(out := Terminal())).problem("bad")
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("sink", [JsonLinesSink, PlainSink])
def test_a_log_that_cannot_be_written_ends_nothing(sink: Callable[[IO[str] | None], Sink]) -> None:
    read, write = os.pipe()
    os.close(read)
    closed = io.StringIO()
    closed.close()
    with open("/dev/full", "w") as full, os.fdopen(write, "w") as broken:
        for stream in (full, broken, closed, None):
            told = Progress(sink(stream))
            for _ in range(3):
                told.note("still at work")
        for descriptor in (full, broken):  # what is left in their buffers must not fail when they are closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor.fileno())


def test_a_log_that_can_be_written_again_goes_on() -> None:
    class Disk(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    told = Progress(JsonLinesSink(disk := Disk()))
    told.note("lost")
    disk.full = False
    told.note("kept")
    assert parse_line(disk.getvalue()).event == p.Note("kept")


def test_a_time_of_another_day_has_its_date() -> None:
    """A window may be days long: "until 14:03:22" would be read as today's."""
    now_s = time.time()
    assert text.clock(now_s) == time.strftime("%H:%M:%S", time.localtime(now_s))
    later_s = now_s + 3 * 86_400
    assert p.describe(p.Waiting("a reveal", int(later_s))) == (
        "waiting for a reveal until " + time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(later_s))
    )
