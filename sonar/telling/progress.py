"""What a program reports while it works: typed events, written for people or as lines of JSON.

The JSON form of the events is a contract between processes: a supervisor reads the lines of the programs
that it started with `parse_line`, which accepts nothing else. A line is one object with `kind`, the event's
fields, `party` (who speaks) and `at_s` (its clock).
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Annotated, Literal, Protocol

from pydantic import Field

from sonar.errors import RemoteError, SonarError
from sonar.frozen import frozen
from sonar.telling import documents
from sonar.telling.again import with_home
from sonar.telling.amounts import IN_ETHER, Unit, format_amount, in_column
from sonar.telling.documents import (
    STRICT,
    Amount,
    CampaignRound,
    MineRound,
    RoundSummary,
    Summary,
    in_json,
)
from sonar.telling.figures import in_words
from sonar.telling.text import DIM, GREEN, RED, clock, count, filled, painted, printable, short, width_of

MAX_LINE_BYTES = 1_000_000
ChainTime = Annotated[int, Field(ge=0, lt=1 << 40)]
"""Seconds since 1970, as many as the contract's times can be: of more, no clock could tell the date."""


@frozen
class Waiting:
    """The program waits for `what`, until chain time `until_s` at the latest (None: as long as it takes)."""

    what: str
    until_s: ChainTime | None = None
    kind: Literal["waiting"] = "waiting"
    __pydantic_config__ = STRICT


@frozen
class State:
    """The party's part in a round of a bounty (hex id) is now in `state`."""

    bounty: str
    round: int
    state: str
    kind: Literal["state"] = "state"
    __pydantic_config__ = STRICT


@frozen
class Transaction:
    """A transaction was mined: what it was for, its round (0: of no round), and what it cost."""

    name: str
    tx_hash: str
    gas_used: int
    fee_wei: Amount
    round: int = 0
    kind: Literal["transaction"] = "transaction"
    __pydantic_config__ = STRICT


@frozen
class Timing:
    """A part of the work took `seconds` (round 0: of no round)."""

    part: str
    seconds: float
    round: int = 0
    kind: Literal["timing"] = "timing"
    __pydantic_config__ = STRICT


@frozen
class Round:
    """A round is over; `summary` says how it went for the party."""

    bounty: str
    round: int
    summary: RoundSummary
    kind: Literal["round"] = "round"
    __pydantic_config__ = STRICT


@frozen
class Note:
    """Something worth reporting."""

    text: str
    kind: Literal["note"] = "note"
    __pydantic_config__ = STRICT


@frozen
class Problem:
    """Something went wrong; `hint` says what to do. Whether the program continues is its own decision."""

    error: str
    hint: str = ""
    kind: Literal["problem"] = "problem"
    __pydantic_config__ = STRICT


@frozen
class Done:
    """The work is done; `summary` is its result, if it has one."""

    what: str
    summary: Summary = None
    kind: Literal["done"] = "done"
    __pydantic_config__ = STRICT


Event = Waiting | State | Transaction | Timing | Round | Note | Problem | Done
_ANY_EVENT = Annotated[Event, Field(discriminator="kind")]


@frozen
class Line:
    """An event, with who told it and when (seconds since 1970, by that machine's clock)."""

    party: str
    at_s: float
    event: Event


def format_line(line: Line) -> str:
    """Return the line as JSON, without a newline."""
    return documents.write({"party": line.party, "at_s": line.at_s, **in_json(line.event)})


def parse_line(text: str) -> Line:
    """Return the line that `format_line` wrote. Raises RemoteError on anything else."""
    if len(text) > MAX_LINE_BYTES:
        raise RemoteError(f"a progress line has {len(text)} characters; the limit is {MAX_LINE_BYTES}")
    fields = documents.parsed(text)
    if not isinstance(fields, dict):
        raise RemoteError(f"a progress line is not an object: {text[:200]!r}")
    party, at_s = fields.pop("party", ""), fields.pop("at_s", 0.0)
    # Of a time as late as the chain's can be, every clock can tell the date.
    is_time = isinstance(at_s, float | int) and not isinstance(at_s, bool) and 0 <= at_s < 1 << 40
    if not isinstance(party, str) or not is_time:
        raise RemoteError(f"party of a progress line is not a text, or at_s not a time: {text[:200]!r}")
    return Line(party, float(at_s), documents.validated(_ANY_EVENT, fields, "progress line"))


class Sink(Protocol):
    """Where a program's events go."""

    def emit(self, line: Line) -> None:
        """Take one event. Must not raise for a reader that went away or a disk that is full."""
        ...


class NullSink:
    """Takes every event and keeps none."""

    def emit(self, line: Line) -> None:
        """Do nothing."""


@dataclass
class ListSink:
    """Keeps every event, for tests and notebooks."""

    lines: list[Line] = field(default_factory=list)

    def emit(self, line: Line) -> None:
        """Keep `line`."""
        self.lines.append(line)

    @property
    def events(self) -> list[Event]:
        """The events alone, in order."""
        return [line.event for line in self.lines]


class JsonLinesSink:
    """Writes one JSON object per event and line, flushed, for another program to read."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def emit(self, line: Line) -> None:
        """Write `line` at once and whole."""
        text = format_line(line) + "\n"
        with self._lock:
            _write(self._stream, text)


_TOLD_ELSEWHERE = {"committing", "committed", "revealing", "revealed", "paid", "no share", "returned"}
"""States that people are told of by another event: a transaction, or the end of the round."""


_COUNTS = re.compile(r"^[\d,]+ more mines? |\(.*\)")
"""The parts of a wait's text that may change while the wait stays the same."""
_AGAIN_S = 10.0
"""How often people are shown such a change; a display in place shows each."""


class Repeats:
    """Recognises waits that differ from the party's last one only by how many have come."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def has(self, line: Line) -> bool:
        """Whether this line says no more than the last one did a moment ago."""
        if not isinstance(line.event, Waiting):
            return False
        what = _COUNTS.sub("", line.event.what)
        before, told_s = self._last.get(line.party, ("", 0.0))
        if what == before and 0 <= line.at_s - told_s < _AGAIN_S:
            return True
        self._last[line.party] = what, line.at_s
        return False


class PlainSink:
    """Writes a line of text per event, for people. `stream` defaults to standard error."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream, self._lock, self._repeats = stream, threading.Lock(), Repeats()

    def emit(self, line: Line) -> None:
        """Write `line`, in harmless characters only: it may quote what a stranger sent."""
        event = line.event
        if isinstance(event, Timing) or (isinstance(event, State) and event.state in _TOLD_ELSEWHERE):
            return
        if self._repeats.has(line):
            return
        clock = time.strftime("%H:%M:%S", time.localtime(line.at_s))
        party = f" {line.party}" if line.party else ""
        colour = {"problem": RED, "done": GREEN, "waiting": DIM}.get(event.kind, "")
        with self._lock:
            stream = self._stream or sys.stderr
            text = printable(f"{clock}{party}  {describe(event)}")
            text = filled(text, width_of(stream), len(clock) + 2)
            _write(stream, painted(text, colour, stream) + "\n")


def _write(stream: IO[str] | None, text: str) -> None:
    """Write `text` at once, or drop it: work with a stake or an escrow in it outlives its log's reader.

    Whoever starts a program with a standard stream closed gives it None.
    """
    if stream is not None:
        with suppress(OSError, ValueError):  # ValueError: closed by this program
            stream.write(text)
            stream.flush()


def describe(event: Event) -> str:
    """Return the event as a sentence for people."""
    match event:
        case Waiting(what, until_s):
            until = "" if until_s is None else f" until {clock(until_s)}"
            return f"waiting for {what}{until}"
        case State(bounty, number, state):
            return f"bounty {short(bounty)} round {number}: {state}"
        case Transaction(name, tx_hash, gas_used, fee_wei, number):
            unit, (fee,) = in_column([fee_wei], IN_ETHER)
            of_round = f"round {number}: " if number and name != "post" else ""  # it begins with its first
            return f"{of_round}{name} mined in {short(tx_hash)}: {gas_used:,} gas, {fee} {unit}"
        case Timing(part, seconds):
            return f"{part}: {seconds:.3f} s"
        case Round(bounty, number, summary):
            if isinstance(summary, CampaignRound):
                return round_of_campaign(summary)
            return f"bounty {short(bounty)} {_round_of_mine(number, summary)}"
        case Note(text):
            return text
        case Problem(error, hint):
            return f"{error}\n  {hint}" if hint else error
        case Done(what, _):
            return what


def _round_of_mine(number: int, told: MineRound) -> str:
    """How a round went for a mine: "round 3: paid, 32.6% of the round's reward; fee 0.01 ether, ..."."""
    unit = Unit(told.asset)
    parts = {
        "reward": told.reward_units,
        "fee": told.fee_units,
        "forfeits of others": told.forfeit_units,
        "stake back": told.stake_units,
    }
    amounts = ", ".join(f"{name} {format_amount(units, unit)}" for name, units in parts.items() if units)
    share = f", {told.share_bps / 100:.1f}% of the round's reward" if told.reward_units else ""
    why = f" ({told.why})" if told.why else ""
    return f"round {number}: {told.result}{why}{share}{'; ' * bool(amounts)}{amounts}"


def round_of_campaign(told: CampaignRound) -> str:
    """How a round went for its scientist: the model's figures, who was left out and why, what was paid."""
    if told.loss is None:
        return f"round {told.round} {told.ended}: {count(len(told.cohort), 'update')} revealed"
    if told.told:
        return "; ".join([told.told, f"paid {format_amount(told.paid_units, told.asset)}", *_left_out(told)])
    best = "" if told.loss == told.best_loss else f" (the best is {in_words(told.best)})"
    accepted = f"{len(told.accepted)} of {len(told.cohort)} accepted"
    paid = f"paid {format_amount(told.paid_units, told.asset)}"
    figures = in_words(told.figures) or "nothing was learnt"
    return "; ".join([f"round {told.round}: {figures}{best}, {accepted}, {paid}", *_left_out(told)])


def _left_out(told: CampaignRound) -> list[str]:
    return [f"left out {short(mine)}: {why}" for mine, why in told.left_out.items()]


class Progress:
    """One party's reporter. The same wait twice in a row is reported once."""

    def __init__(
        self, sink: Sink | None = None, party: str = "", *, clock: Callable[[], float] = time.time
    ) -> None:
        self.sink: Sink = sink or NullSink()
        self.party = party
        self._clock = clock
        self._last_wait: Waiting | None = None

    def about(self, subject: str) -> Progress:
        """The same voice for one of several things that it speaks of, such as a bounty by its name."""
        return Progress(self.sink, f"{self.party}/{subject}" if self.party else subject, clock=self._clock)

    def emit(self, event: Event) -> None:
        """Tell `event`."""
        if isinstance(event, Waiting):
            if event == self._last_wait:
                return
            self._last_wait = event
        elif not isinstance(event, Timing):
            self._last_wait = None
        self.sink.emit(Line(self.party, self._clock(), event))

    def waiting(self, what: str, until_s: int | None = None) -> None:
        """Tell that the program waits for `what` until chain time `until_s`."""
        self.emit(Waiting(with_home(what), until_s))

    def state(self, bounty: str, round: int, state: str) -> None:
        """Tell the party's new state in a round."""
        self.emit(State(bounty, round, state))

    def transaction(self, name: str, tx_hash: str, gas_used: int, fee_wei: int, round: int = 0) -> None:
        """Tell that a transaction was mined."""
        self.emit(Transaction(name, tx_hash, gas_used, fee_wei, round))

    def timing(self, part: str, seconds: float, round: int = 0) -> None:
        """Tell how long a part of the work took."""
        self.emit(Timing(part, seconds, round))

    @contextmanager
    def timed(self, part: str, round: int = 0) -> Iterator[None]:
        """Tell how long the block took, also if it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timing(part, time.perf_counter() - start, round)

    def round(self, bounty: str, round: int, summary: RoundSummary) -> None:
        """Tell how a round went."""
        self.emit(Round(bounty, round, summary))

    def note(self, text: str) -> None:
        """Tell something worth telling."""
        self.emit(Note(with_home(text)))

    def problem(self, error: SonarError | str, hint: str = "") -> None:
        """Tell an error, with its hint."""
        hint = error.hint if isinstance(error, SonarError) and not hint else hint
        self.emit(Problem(with_home(str(error)), with_home(hint)))

    def done(self, what: str) -> None:
        """Tell that the work is done."""
        self.emit(Done(what))
