"""The notebook's display: one per cell, complete at the end, and nothing that a stranger wrote is run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pysonar.show.live import LiveTold, told_live
from sonar.telling.amounts import IN_ETHER
from sonar.telling.documents import CampaignRound, CampaignSummary
from sonar.telling.progress import Done, Event, Line, Note, PlainSink, Problem, Round, Timing, Waiting

EVIL = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, str]]]:
    """What was displayed, as (number of the display, its content)."""
    shown: list[tuple[int, dict[str, str]]] = []

    class Handle:
        count = 0

        def display(self, content: dict[str, str], *, raw: bool) -> None:
            Handle.count += 1
            self.number = Handle.count
            self.update(content, raw=raw)

        def update(self, content: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append((self.number, content))

    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    return shown


def round_line(number: int, loss: int | None, **changed: Any) -> CampaignRound:
    line: dict[str, Any] = {
        "round": number,
        "ended": "settled" if loss is not None else "failed",
        "loss": loss,
        "best_loss": loss,
        "figures": {} if loss is None else {"r2": 1 - loss / 1e6, "mse": loss / 100},
        "cohort": ["0xa", "0xb"],
        "accepted": ["0xa"],
        "left_out": {},
        "shares_bps": {},
        "scores": {},
        "asset": IN_ETHER,
        "paid_units": 10**18,
        "gas": {},
        "seconds": {},
    }
    return CampaignRound(**line | changed)


def summary_of(rounds: list[CampaignRound]) -> CampaignSummary:
    return CampaignSummary(
        "diabetes",
        None,
        "closed",
        "",
        2048,
        9000,
        4000,
        10,
        IN_ETHER,
        10**18,
        0,
        0,
        rounds=rounds,
        payouts={},
    )


def tell(told: LiveTold, *events: Event) -> None:
    for event in events:
        told.emit(Line("pysonar", 0.0, event))


def test_each_cell_has_a_display_of_its_own(shown: list[tuple[int, dict[str, str]]]) -> None:
    shell = SimpleNamespace(execution_count=1)
    told = LiveTold(shell)
    tell(
        told, Note("posted"), Waiting("mines"), Timing("check", 1.0), Round("0x1", 1, round_line(1, 500_000))
    )
    shell.execution_count = 2
    tell(told, Round("0x1", 2, round_line(2, None)))
    assert [number for number, _ in shown] == [1, 1, 1, 2]
    assert "0.5000" in shown[2][1]["text/html"]
    assert all(f">{head}</th>" in shown[2][1]["text/html"] for head in ("R²", "MSE"))
    assert "R² 0.5000, MSE 5,000.0" in shown[2][1]["text/plain"]
    assert "0.5000" not in shown[3][1]["text/html"]
    assert "failed" in shown[3][1]["text/html"]
    rounds = [round_line(1, 500_000), round_line(2, None), round_line(3, 400_000)]
    tell(told, Done("closed", summary_of(rounds)))
    assert all(text in shown[-1][1]["text/html"] for text in ("0.5000", "failed", "0.6000", "closed"))
    assert len(shown[-1][1]["text/plain"].splitlines()) == 4


def test_a_problem_stays_until_a_round_is_over(shown: list[tuple[int, dict[str, str]]]) -> None:
    told = LiveTold(SimpleNamespace(execution_count=1))
    tell(told, Problem("the store is gone", "start it"), Waiting("the chain"))
    assert "the store is gone" in shown[-1][1]["text/html"]
    tell(told, Round("0x1", 1, round_line(1, 500_000)))
    assert "the store is gone" not in shown[-1][1]["text/html"]


def test_strangers_words_are_shown_and_not_run(shown: list[tuple[int, dict[str, str]]]) -> None:
    told = LiveTold(SimpleNamespace(execution_count=1))
    tell(told, Problem(EVIL), Waiting(EVIL))
    tell(told, Round("0x1", 1, round_line(1, 5000, left_out={"0xb": EVIL}, ended=EVIL)))
    for _, content in shown:
        assert "<script" not in content["text/html"]
        assert "\x1b" not in content["text/html"] + content["text/plain"]


def test_two_bounties_of_one_cell_have_a_table_each(shown: list[tuple[int, dict[str, str]]]) -> None:
    told = LiveTold(SimpleNamespace(execution_count=1))
    told.emit(Line("pysonar/one", 0.0, Round("0x1", 1, round_line(1, 500_000))))
    assert "pysonar/one" not in shown[-1][1]["text/html"]
    told.emit(Line("pysonar/two", 0.0, Round("0x2", 1, round_line(1, 300_000))))
    html = shown[-1][1]["text/html"]
    assert html.count("<table>") == 2
    assert all(text in html for text in ("pysonar/one", "pysonar/two", "0.5000", "0.7000"))


def test_outside_a_notebook_it_is_plain_text() -> None:
    assert isinstance(told_live(), PlainSink)


def test_a_study_shows_what_each_round_has_brought(shown: list[tuple[int, dict[str, str]]]) -> None:
    sink = LiveTold(SimpleNamespace(execution_count=1))
    brought = "means, round 1 of at most 2: sums over 120 rows of 3 mines"
    for line in (round_line(1, None), round_line(2, 1_000_000, figures={}, told=brought)):
        sink.emit(Line("heights", 0.0, Round("0xb", line.round, line)))
    html, text = shown[-1][1]["text/html"], shown[-1][1]["text/plain"]
    assert brought in html
    assert "brought" in html
    assert "failed" in html
    assert "#1f6feb" not in html  # its loss measures nothing
    assert f"{brought}; paid 1 ether" in text
