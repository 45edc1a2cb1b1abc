import io
import re

import pytest

from sonar.telling.tables import print_named, print_table
from sonar.telling.text import LEGIBLE

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


def on_terminal(columns: int, monkeypatch: pytest.MonkeyPatch, **settings: object) -> list[str]:
    """The lines of a table of a round on a terminal of so many columns, without its colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    headings = ["round", "paid\nether", "gas\ngwei", "why"]
    rows = [
        ["1", "0.267899", "2,328.12", "its rows were far from those of the others"],
        ["12", "0", "843.92", ""],
    ]
    print_table(headings, rows, right=headings[:3], file=out, **settings)  # type: ignore[arg-type]
    return [re.sub(r"\033\[\d*m", "", line).rstrip() for line in out.getvalue().splitlines()]


def test_a_unit_stands_under_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_terminal(80, monkeypatch)[:3] == [
        "           paid       gas",
        "round     ether      gwei  why",
        "    1  0.267899  2,328.12  its rows were far from those of the others",
    ]


@pytest.mark.parametrize("columns", range(40, 90, 5))
def test_numbers_stay_whole_and_texts_are_broken_between_words(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = on_terminal(columns, monkeypatch, texts=["why"], spare=["gas\ngwei"])
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("    1  0.267899") for line in lines)
    assert all(
        word in " ".join(lines).split()
        for word in ["its", "rows", "were", "far", "from", "those", "of", "the", "others"]
    )
    left_out = "(no room for: gas; a wider terminal shows more)" in " ".join(" ".join(lines).split())
    assert left_out != any("2,328.12" in line for line in lines)


def test_a_heading_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(["paid\n[red]\x1b[2JUSD"], [["1"]])
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "[red]\ufffd[2JUSD" in out


def test_a_wide_table_has_every_column_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(40, monkeypatch, texts=["why"], spare=["gas\ngwei"], wide=True)
    assert lines == on_terminal(200, monkeypatch)


def test_what_an_encoding_cannot_show_is_told_in_ascii_and_aligned() -> None:
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding="ascii", errors=LEGIBLE)
    print_table(["mine", "R²"], [["0x8eA2…67Ec", "0.5"], ["b", "漢"]], file=stream)
    print_named([("a", "→ é"), ("long", "x"), ("none", "")], file=stream)
    stream.flush()
    shown = [line.rstrip() for line in out.getvalue().decode("ascii").splitlines()]
    assert shown == ["mine           R2", "0x8eA2...67Ec  0.5", "b              ?", "a     -> ?", "long  x"]


def test_named_lines_are_filled_beside_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    print_named([("id", "0x" + "ab" * 32), ("problem", "one two " * 8 + "\n\x1b[2Jlast")], file=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "id       0x" + "ab" * 32  # whole, or it could not be copied
    assert lines[1].startswith("problem  one two")
    assert all(line.startswith(" " * 9) and len(line) <= 40 for line in lines[2:])
    assert lines[-1] == " " * 9 + "\ufffd[2Jlast"
