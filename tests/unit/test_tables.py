import re

import pytest

from sonar.telling.tables import print_table

HEADINGS = ["bounty", "reward", "features"]
ROWS = [[f"0x{n:064x}", "~0.418380 ether", "age, [red]sex, \033[31mbmi"] for n in range(2)]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the table on a terminal of 80 columns, without its colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    print_table(HEADINGS, ROWS, right=["reward"])
    return [re.sub(r"\033\[\d*m", "", line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_wider_than_the_terminal_is_shown_a_field_a_line(printed: list[str]) -> None:
    first = [f"bounty    {ROWS[0][0]}", "reward    ~0.418380 ether", "features  age, [red]sex, \ufffd[31mbmi"]
    assert printed == [*first, "", first[0][:-1] + "1", *first[1:], ""]


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS, ROWS, right=["reward"])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == HEADINGS
    for line, row in ((first, ROWS[0]), (second, ROWS[1])):
        assert line.startswith(f"{row[0]}  {row[1]}  age, [red]sex, ")
