"""The walks count calls from file to file, a line once, by either of the interpreter's ways to watch."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


WALKED, WALKS = load_script("walked"), load_script("walks")

UPPER = """\
import contextlib
import sys
from house import lower

at_import = lower.plain()


def calls():
    return [lower.plain(), lower.plain()]


def in_a_loop():
    for _ in range(3):
        lower.plain()


def through_a_library():
    return sorted([2, 1], key=lower.Thing.key)


def of_comprehensions():
    return [lower.plain() for _ in range(2)], {i for i in range(2)}


def generator():
    values = lower.several()
    first = next(values)
    return [
        first,
        next(values),
        *values,
    ]


def block():
    with lower.held() as held:
        return held


def attribute():
    return lower.Thing().value


def within_the_file():
    return calls


def imports():
    from house import late

    return late.late


def by_lambda():
    return lower.asks(lambda: 1)


def given():
    yield 1


def hands_over():
    return lower.consumes(given())
"""
LOWER = """\
from contextlib import contextmanager


def plain():
    return 1


class Thing:
    class Inner:
        pass

    @staticmethod
    def key(number):
        return number

    @property
    def value(self):
        return 1


def several():
    yield 1
    yield 2
    yield 3


@contextmanager
def held():
    yield 1


def asks(what):
    return what()


def consumes(values):
    return list(values)
"""
LATE = "from house import lower\n\n\nclass Late:\n    made = lower.plain()\n\n\nlate = lower.plain()\n"

WAYS = [
    WALKED.start_profiling,
    pytest.param(
        WALKED.start_monitoring,
        marks=pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="sys.monitoring is Python 3.12's"),
    ),
]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The made-up package's module `upper`, imported from a folder of its own."""
    folder = tmp_path / "house"
    folder.mkdir()
    for name, source in {"__init__": "", "upper": UPPER, "lower": LOWER, "late": LATE}.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("house", "house.upper", "house.lower", "house.late"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("house.upper")


def watched(start: Any, root: Path, call: Callable[[], object]) -> list[tuple[str, int, str, str]]:
    recorder = WALKED.Recorder(root, ("house",))
    end = start(recorder)
    try:
        call()
    finally:
        end()
    return [(step.caller, step.line, step.file, step.function) for step in recorder.steps]


def line_of(text: str, source: str = UPPER) -> int:
    return source[: source.index(text)].count("\n") + 1


@pytest.mark.parametrize("start", WAYS)
@pytest.mark.parametrize(
    ("called", "marked", "entered"),
    [
        ("calls", "return [lower.plain(), lower.plain()]", ["plain"]),
        ("in_a_loop", "        lower.plain()\n\n\ndef through", ["plain"]),
        ("through_a_library", "return sorted", ["Thing.key"]),
        ("of_comprehensions", "return [lower.plain() for", ["plain"]),
        ("generator", "first = next", ["several"]),
        ("block", "with lower.held", ["held"]),
        ("attribute", "return lower.Thing().value", ["Thing.value"]),
        ("within_the_file", "", []),
        ("imports", "", []),
    ],
)
def test_a_call_counts_once_from_its_line(
    house: Any, tmp_path: Path, start: Any, called: str, marked: str, entered: list[str]
) -> None:
    steps = watched(start, tmp_path, getattr(house, called))
    assert steps[0] == ("", 0, "house/upper.py", called)
    wanted = [("house/upper.py", line_of(marked), "house/lower.py", name) for name in entered]
    assert steps[1:] == wanted


@pytest.mark.parametrize("start", WAYS)
def test_a_function_that_is_handed_over_is_entered_from_where_it_is_called(
    house: Any, tmp_path: Path, start: Any
) -> None:
    back = (
        "house/lower.py",
        line_of("return what()", LOWER),
        "house/upper.py",
        "by_lambda.<locals>.<lambda>",
    )
    assert watched(start, tmp_path, house.by_lambda)[2:] == [back]
    back = ("house/lower.py", line_of("return list(values)", LOWER), "house/upper.py", "given")
    assert watched(start, tmp_path, house.hands_over)[2:] == [back]


@pytest.mark.parametrize("start", WAYS)
def test_a_thread_is_watched_and_entered_from_nowhere(house: Any, tmp_path: Path, start: Any) -> None:
    def call() -> None:
        thread = threading.Thread(target=house.calls)
        thread.start()
        thread.join()

    steps = watched(start, tmp_path, call)
    assert [(caller, file) for caller, _, file, _ in steps] == [
        ("", "house/upper.py"),
        ("house/upper.py", "house/lower.py"),
    ]


@pytest.mark.parametrize("start", WAYS)
def test_what_is_not_below_the_root_is_not_seen(house: Any, tmp_path: Path, start: Any) -> None:
    assert watched(start, tmp_path / "elsewhere", house.calls) == []


def test_receipts_are_counted_by_transaction_and_failed_ones_are_not() -> None:
    def answer(tx_hash: str, status: str) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": 1, "result": {"transactionHash": tx_hash, "status": status}}

    assert WALKED.mined(json.dumps(answer("0xa", "0x1")).encode()) == {"0xa"}
    assert WALKED.mined(json.dumps(answer("0xa", "0x0")).encode()) == set()
    several = [answer("0xa", "0x1"), answer("0xb", "0x1"), {"id": 3, "result": None}, {"id": 4, "error": {}}]
    assert WALKED.mined(json.dumps(several).encode()) == {"0xa", "0xb"}


def test_files_and_moves_are_counted_and_compared_with_before() -> None:
    steps = [
        {"file": "a", "function": "f", "caller": "", "line": 0},
        {"file": "b", "function": "g", "caller": "a", "line": 3},
        {"file": "b", "function": "g", "caller": "a", "line": 5},
        {"file": "a", "function": "h", "caller": "b", "line": 1},
    ]
    walk = WALKS.Walk(steps)
    assert walk.figures() == {"files": 2, "moves": 3}
    assert walk.by_file() == [("a", 1, 2), ("b", 2, 1)]
    rows = WALKS.compare({"post": {"files": 3, "moves": 5}}, {"post": walk.figures()})
    assert rows == [
        ("post", "files", "3", "2", "0.67", "holds"),
        ("post", "moves", "5", "3", "0.60", "more than 2"),
    ]


def test_what_is_compared_with_has_both_walks() -> None:
    walks = json.loads(WALKS.BEFORE.read_text())["walks"]
    assert set(walks) == {"post", "mine"}
    assert all(set(figures) == set(WALKS.LIMITS) for figures in walks.values())
