"""What people see of a verified bounty: what is false stands first, and nothing is hidden but in numbers."""

from __future__ import annotations

import pytest

from sonar.protocol.ids import Address
from sonar.telling.documents import read, write
from sonar.telling.verdicts import (
    BountyVerified,
    Finding,
    RoundVerified,
    exit_code,
    print_verified,
    result_of,
)

ONE, OTHER = (Address("0x" + digit * 40) for digit in "12")
FALSE = Finding("false", "evidence", "evidence.loss", "7", "8")
UNKNOWN = Finding("unknown", "updates", f"update of {ONE}", found="bafy is not in the store")
NOTE = Finding("note", "updates", f"update of {OTHER}", found="left out: malformed")


def told(*findings: Finding) -> BountyVerified:
    rounds = [
        RoundVerified(0, "posted", {"posting": 8}, []),
        RoundVerified(1, "settled", {"record": 4, "evidence": 9}, list(findings), [ONE, OTHER]),
    ]
    return BountyVerified(
        "0x" + "ab" * 32, 1, ONE, OTHER, result_of(rounds), 21, rounds, auditors=[ONE, OTHER], threshold=2
    )


@pytest.mark.parametrize(
    ("findings", "result", "code"),
    [
        ((), "holds", 0),
        ((NOTE,), "holds", 0),
        ((NOTE, UNKNOWN), "unknown", 3),
        ((UNKNOWN, FALSE), "false", 4),
        ((FALSE,), "false", 4),
    ],
)
def test_the_worst_finding_decides(findings: tuple[Finding, ...], result: str, code: int) -> None:
    found = told(*findings)
    assert (found.result, exit_code(found)) == (result, code)
    assert read(BountyVerified, write(found)) == found


def test_what_is_false_stands_before_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    print_verified(told(UNKNOWN, NOTE, FALSE), wide=True)
    out = capsys.readouterr().out
    places = [out.index(text) for text in ("FALSE:", "could not be checked:", "noted:")]
    assert places == sorted(places)
    assert "round 1, evidence.loss: expected 7, found 8" in out
    assert f"round 1, update of {ONE}: bafy is not in the store" in out
    assert f"round 1, update of {OTHER}: left out: malformed" in out
    assert "9 hold, 1 FALSE" in out
    assert f"2 of 2 sign: {ONE}, {OTHER}" in out
    assert "1 check FALSE; 21 checks hold, 1 not made" in out


def test_very_many_findings_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Finding("unknown", "updates", f"update {n}", found="gone") for n in range(40)]
    print_verified(told(*many))
    out = capsys.readouterr().out
    assert out.count("gone") == 12
    assert "round 1: and 28 more, which --json tells" in out
    assert "nothing is false; 21 checks hold, and 40 could not be made" in out


def test_a_stranger_s_text_is_made_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    print_verified(told(Finding("note", "updates", "update", found="left out: \x1b[31mred\x07")))
    out = capsys.readouterr().out
    assert "\x1b[31mred" not in out
    assert "\x07" not in out
