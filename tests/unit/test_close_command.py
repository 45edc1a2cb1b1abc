"""`pysonar close`, of a home without a chain: what is asked for, refused, told."""

from __future__ import annotations

import pytest

from pysonar.cli import main
from pysonar.wiring import Scientist
from tests.unit.test_rotating import end_round, post, refused, run, scientist

__all__ = ["scientist"]


def test_the_end_is_asked_for_once(scientist: Scientist, capsys: pytest.CaptureFixture[str]) -> None:
    records = post(scientist)
    assert not scientist.closing("diabetes").asked
    first = run(scientist, capsys, "close", "diabetes")
    assert (first["bounty"], first["again"]) == ("diabetes", False)
    assert "`pysonar resume diabetes`" in str(first["told"])
    assert scientist.closing("diabetes").asked
    assert run(scientist, capsys, "close") == first | {"again": True}
    end_round(records, 1, closed="BY_SCIENTIST")
    assert "closed already" in str(run(scientist, capsys, "close")["told"])


def test_what_cannot_be_closed_is_told(scientist: Scientist, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the bounty 'diabetes' is not posted" in refused(scientist, capsys, "close", "diabetes", "--yes")
    assert "none named 'other' was started in this home" in refused(scientist, capsys, "close", "other")
    assert not scientist.closing("diabetes").asked


def test_nothing_is_asked_for_without_a_yes(
    scientist: Scientist, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    post(scientist)
    monkeypatch.setattr("typer.confirm", lambda _question: False)
    assert "it goes on: nothing was changed" in refused(scientist, capsys, "close")
    assert not scientist.closing("diabetes").asked
    monkeypatch.setattr("typer.confirm", lambda _question: True)
    assert main(["close", "diabetes", "--home", str(scientist.home.path)]) == 0
    assert "it ends before the next round" in capsys.readouterr().out
