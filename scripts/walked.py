"""Run command lines in this process, and write down which of the project's files are entered from where.

    python scripts/walked.py RESULT TRANSACTIONS PROGRAM ARGS... [-- PROGRAM ARGS...]

`PROGRAM` is a package with a console entry point, `PROGRAM.__main__:main`; several are called one after the
other. The walk ends when the chain has told this process of so many mined TRANSACTIONS: then the steps go to
RESULT as JSON, and the process ends on the spot. `scripts/walks.py` puts up the chain, and reads the result.

What is counted comes from the interpreter's own monitoring: `sys.monitoring`, or before Python 3.12 profile
functions. A step is a call of a function of the project by a line of another of its files, across whatever
library calls in between; it counts once, however often it is taken. These count as nothing:

- what runs while a module is imported;
- a generator that goes on: it is entered once, when it begins;
- comprehensions, which newer interpreters do not call;
- who starts a thread: what a thread calls first is entered from nowhere.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sonar", "mine", "pysonar", "capsule")
_INLINED = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_RESUMES = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True)
class Step:
    """One entry into `file`, at `function`; from a line of another file, or from nowhere."""

    file: str
    function: str
    caller: str = ""
    line: int = 0


class Recorder:
    """The steps of all threads, in the order in which they were first taken; the packages lie in `root`."""

    def __init__(self, root: Path = ROOT, packages: Sequence[str] = PACKAGES) -> None:
        self._below = tuple(f"{root / package}{os.sep}" for package in packages)
        self._start = len(str(root)) + 1
        self._files: dict[CodeType, str] = {}
        self._seen: set[tuple[CodeType, CodeType | None, int]] = set()
        self._taken: set[tuple[str, str, int]] = set()
        self.steps: list[Step] = []

    def file(self, code: CodeType) -> str:
        """The project's file that the code stands in, or nothing."""
        if (known := self._files.get(code)) is None:
            path = code.co_filename
            known = path[self._start :].replace(os.sep, "/") if path.startswith(self._below) else ""
            self._files[code] = known
        return known

    def counts(self, code: CodeType) -> bool:
        """Whether it is a function of the project: bodies of modules and classes are none."""
        is_function = code.co_flags & inspect.CO_OPTIMIZED and code.co_name not in _INLINED
        return bool(is_function and self.file(code))

    def enter(self, frame: FrameType) -> None:
        """Take down that the function of `frame` was called. `counts` has said yes to its code."""
        caller = self._outer(frame)
        key = (frame.f_code, caller.f_code, caller.f_lineno) if caller else (frame.f_code, None, 0)
        if key in self._seen or _importing(caller, self):
            return
        self._seen.add(key)
        here = self.file(frame.f_code)
        there, line = (self.file(caller.f_code), caller.f_lineno) if caller else ("", 0)
        if here != there and (here, there, line) not in self._taken:
            self._taken.add((here, there, line))
            self.steps.append(Step(here, frame.f_code.co_qualname, there, line))

    def _outer(self, frame: FrameType) -> FrameType | None:
        """The nearest frame of the project around `frame`."""
        outer = frame.f_back
        while outer is not None and not self.file(outer.f_code):
            outer = outer.f_back
        return outer


def _importing(frame: FrameType | None, recorder: Recorder) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and recorder.file(frame.f_code):
            return True
        frame = frame.f_back
    return False


def start(recorder: Recorder) -> Callable[[], None]:
    """Let the recorder see every call from now on, in this and in new threads; return what ends that."""
    return start_monitoring(recorder) if hasattr(sys, "monitoring") else start_profiling(recorder)


def start_monitoring(recorder: Recorder) -> Callable[[], None]:
    """`start`, by the events of Python 3.12 and newer. What does not count is asked about once."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    tool = monitoring.PROFILER_ID

    def began(code: CodeType, _offset: int) -> Any:
        if not recorder.counts(code):
            return monitoring.DISABLE
        recorder.enter(sys._getframe(1))
        return None

    monitoring.use_tool_id(tool, "walks")
    monitoring.register_callback(tool, monitoring.events.PY_START, began)
    monitoring.set_events(tool, monitoring.events.PY_START)
    monitoring.restart_events()

    def end() -> None:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)

    return end


def start_profiling(recorder: Recorder) -> Callable[[], None]:
    """`start`, by profile functions: the only way before Python 3.12."""
    ended = False

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and not ended and recorder.counts(frame.f_code) and _begins(frame):
            recorder.enter(frame)

    def end() -> None:
        nonlocal ended
        ended = True  # other threads keep their profile functions
        sys.setprofile(None)
        threading.setprofile(None)

    threading.setprofile(profile)
    sys.setprofile(profile)
    return end


def _begins(frame: FrameType) -> bool:
    """Whether it is a call: a generator that goes on, or is thrown into, looks like one."""
    if not frame.f_code.co_flags & _RESUMES:
        return True
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == _RESUME and code[at + 1] == 0


_RESUME = importlib.import_module("opcode").opmap["RESUME"]


def at_receipts(wanted: int, act: Callable[[], None]) -> None:
    """Call `act` once this process has been told, over HTTP, of so many mined transactions.

    In the middle of the answer: so the walk ends at one and the same call each time.
    """
    import httpx

    real, found = httpx.HTTPTransport.handle_request, set[str]()

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        response = real(transport, request)
        if b"eth_getTransactionReceipt" in request.read():
            found.update(mined(response.read()))
            if len(found) >= wanted:
                act()
        return response

    httpx.HTTPTransport.handle_request = handle_request  # type: ignore[assignment, method-assign]


def mined(body: bytes) -> set[str]:
    """The hashes of the transactions that an answer of JSON-RPC has receipts of, if they did not fail."""
    answers = json.loads(body)
    results = [one.get("result") for one in (answers if isinstance(answers, list) else [answers])]
    return {one["transactionHash"] for one in results if isinstance(one, dict) and one.get("status") == "0x1"}


def main(arguments: list[str]) -> int:
    """Walk, and write the result. Returns only when the walk did not get to its end."""
    result, transactions, *rest = arguments
    recorder = Recorder()
    commands: list[list[str]] = [[]]
    for argument in rest:
        commands.append([]) if argument == "--" else commands[-1].append(argument)

    def end() -> None:
        stop()
        Path(result).write_text(json.dumps([asdict(step) for step in recorder.steps]))
        os._exit(0)

    at_receipts(int(transactions), end)
    programs = [importlib.import_module(f"{command[0]}.__main__") for command in commands]
    stop = start(recorder)
    for program, command in zip(programs, commands, strict=True):
        sys.argv = command
        if code := program.main():
            return int(code)
    print(f"walked: the commands ended before {transactions} transactions were mined", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
