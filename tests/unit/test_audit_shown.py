"""What an operator sees of the settlements that the capsule signed."""

from __future__ import annotations

import pytest

from capsule.show.documents import AuditedLine, SignedLine, SignedList
from capsule.show.printing import print_signed
from sonar.telling.documents import read, write

MINES = ["0x" + digit * 40 for digit in "123"]


def line(number: int, fault: str | None) -> AuditedLine:
    shares = {MINES[0]: 9_999, MINES[1]: 1, MINES[2]: 0}
    return AuditedLine(number, "0x" + "ab" * 32, 553_032, 42, shares, {MINES[2]: "test unlike: far"}, fault)


@pytest.mark.parametrize(
    ("fault", "said"), [(None, "signed"), ("", "follows"), ("loss: it is 7", "DOES NOT FOLLOW")]
)
def test_settlements_are_listed_with_their_figures(
    capsys: pytest.CaptureFixture[str], fault: str | None, said: str
) -> None:
    answer = SignedLine(1, "settlement", 1_800_000_000, "0x" + "01" * 32, "0x" + "02" * 32, 900)
    document = SignedList("0x" + "cd" * 32, [answer], {MINES[0]: 12}, [line(3, fault)])
    assert read(SignedList, write(document)) == document
    print_signed(document, wide=True)
    out = capsys.readouterr().out
    (row,) = (text for text in out.splitlines() if "553,032" in text)
    assert row.split()[0] == "3"
    assert said in out
    for figure in ("42", "0x" + "ab" * 32):
        assert figure in row
