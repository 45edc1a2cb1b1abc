"""CSV files as people have them: what is no number is told by file, line and column, with what to write."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.data.cells import Kind, look_at
from sonar.data.contents import Contents, csv_contents
from sonar.data.table import parse_csv
from sonar.errors import DataError

NUMBERS = [
    "1",
    "-1.5",
    "+2",
    ".5",
    "5.",
    "1e5",
    "1E-5",
    " 7 ",
    "0",
    "-0",
    "007",
    "1e308",
    "1e-400",
    "9007199254740992",
    "1e16",
    "\t3",
]
NEARLY = {
    "1,234": "marks between its thousands",
    "1,234,567.8": "marks between its thousands",
    "1.234.567": "marks between its thousands",
    "1.234.567,89": "marks between its thousands",
    "1.234,5": "marks between its thousands",
    "1 234": "marks between its thousands",
    "1'234.5": "marks between its thousands",
    "1\N{NO-BREAK SPACE}234": "marks between its thousands",
    "1,5": "decimal comma",
    "-0,25": "decimal comma",
    ",5": "decimal comma",
    "1,5e3": "decimal comma",
    "12%": "percent sign",
    "12,5 %": "percent sign",
    "€12": "currency's sign",
    "$1,234.00": "currency's sign",
    "12 £": "currency",
    "12 EUR": "unit",
    "<0.5": "limit or an estimate",
    ">= 100": "limit or an estimate",
    "~3": "limit or an estimate",
    "\N{MINUS SIGN}5": "minus of another kind",
    "(5)": "minus of another kind",
    "5-": "minus of another kind",
    "'12": "spreadsheet's mark for text",
    "0x1F": "decimal digits",
    "1_000": "underscores",
    "1-2": "two numbers",
    "120/80": "two numbers",
    "5 ± 1": "two numbers",
    "1+2j": "complex",
    "12 kg": "unit",
    "7mg/dl": "unit",
    "5 m²": "unit",
    "37.5°C": "unit",
    "inf": "not finite",
    "-Infinity": "not finite",
    "1e400": "not finite",
    "9007199254740993": "more digits than a number here holds",
    "-12345678901234567890": "more digits than a number here holds",
    "1" * 100: "more digits than a number here holds",
}
MISSING = [
    "",
    " ",
    "NA",
    "n/a",
    "#N/A",
    "NaN",
    "nan",
    "null",
    "NULL",
    "None",
    "-",
    "--",
    "?",
    ".",
    "<NA>",
    "#DIV/0!",
]
OTHER = {
    "True": "0 or 1 is expected",
    "false": "0 or 1 is expected",
    "yes": "0 or 1 is expected",
    "NO": "0 or 1 is expected",
    "male": "0 or 1 is expected",
    "2024-01-03": "date",
    "2024-01-03T10:00:00Z": "date",
    "2024/1/3 10:00": "date",
    "3/1/2024": "date",
    "03.01.24": "date",
    "3-Jan-2024": "date",
    "Jan 3, 2024": "date",
    "12:30": "time",
    "1:02:03.5": "time",
    "=A1+B2": "formula",
    "Anna": "is not a number",
    "1.5.2": "is not a number",
    "\N{VULGAR FRACTION ONE HALF}": "is not a number",
    "x" * 200_000: "is not a number",
    "1" * 100_000 + "x": "is not a number",
}


@pytest.mark.parametrize("cell", NUMBERS)
def test_numbers_are_numbers(cell: str) -> None:
    assert look_at(cell).kind is Kind.NUMBER


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        *((cell, Kind.NEARLY, said) for cell, said in NEARLY.items()),
        *((cell, Kind.MISSING, "number is expected") for cell in MISSING),
        *((cell, Kind.OTHER, said) for cell, said in OTHER.items()),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_no_number_is_told_with_what_to_write(cell: str, kind: Kind, said: str) -> None:
    found = look_at(cell)
    assert found.kind is kind
    assert said in found.problem
    assert found.hint
    assert len(found.problem) < 200
    assert not cell.strip() or repr(cell.strip()[:20])[1:-1] in found.problem


@given(st.text(max_size=80))
def test_a_cell_is_a_number_if_python_reads_a_finite_one(cell: str) -> None:
    assert (look_at(cell).kind is Kind.NUMBER) == (look_at(cell).problem == "")
    if look_at(cell).kind is Kind.NUMBER:
        assert abs(float(cell.strip())) < float("inf")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_python_writes_is_a_number(value: float) -> None:
    assert look_at(repr(value)).kind is Kind.NUMBER


def contents(text: str | bytes, *without: str) -> Contents:
    data = text.encode() if isinstance(text, str) else text
    return csv_contents(io.BytesIO(data), "t.csv", without)


@pytest.mark.parametrize("cell", MISSING)
def test_numbers_with_missing_cells_are_for_bounties_that_allow_them(cell: str) -> None:
    quoted = '"' + cell + '"'
    for rows in (["1,2,3", f"4,{quoted},6"], [f"4,{quoted},6", "1,2,3"], ["1,2,3", f"4,{quoted},6", "7,8,9"]):
        line = 2 + next(i for i, row in enumerate(rows) if quoted in row)
        found = contents("\n".join(["a,b,c", *rows]))
        assert (found.columns, found.declarable) == (("a", "c"), ("b",))
        assert found.left_out["b"].startswith(f"line {line}: ")
        for bad in ("x", "3 kg"):
            with pytest.raises(DataError, match="column 'b'"):
                contents("\n".join(["a,b,c", *rows, f"1,{bad},2"]))


def test_words_below_missing_cells_are_words() -> None:
    found = contents("a,b,c\n1,,2\n2,x,\n3,NA,3\n")
    assert (found.columns, found.declarable) == (("a",), ("b", "c"))
    assert found.left_out["b"] == "line 3: 'x' is not a number"
    with pytest.raises(DataError, match=r"line 3: column 'b': 'x' is not a number"):
        contents("a,b,c\n1,,2\n2,x,\n3,4,3\n")


@pytest.mark.parametrize("cell", [*NEARLY, *OTHER])
def test_a_bad_cell_among_numbers_is_named_by_line_and_column(cell: str) -> None:
    if len(cell) > 1000:
        return  # longer than a line of CSV may be
    quoted = '"' + cell + '"'
    for rows in (["1,2,3", f"4,{quoted},6"], [f"4,{quoted},6", "1,2,3"]):
        text = "\n".join(["a,b,c", *rows])
        line = 2 + next(i for i, row in enumerate(rows) if quoted in row)
        with pytest.raises(DataError) as caught:
            contents(text)
        assert caught.value.field == f"t.csv, line {line}"
        assert caught.value.problem.startswith("column 'b': ")
        assert "--without 'b'" in caught.value.hint
        assert contents(text, "b").columns == ("a", "c")
        assert parse_csv(text, "t.csv", ["a", "c"]).rows == 2


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("a;b;c\n1,5;2;3\n", "line 1", "semicolons between its columns; commas"),
        ("a\tb\tc\n1\t2\t3\n", "line 1", "tabs between its columns"),
        ("a|b\n1|2\n", "line 1", "bars between its columns"),
        ("sep=;\na;b\n1;2\n", "line 1", "a mark for Excel"),
        ("1.5,2,3\n4,5,6\n", "line 1", "holds numbers only"),
        (",a,b\n0,1,2\n1,3,4\n", "line 1", "column 1 has no name"),
        ("a,b,\n1,2,\n", "line 1", "column 3 has no name"),
        ("a,b,a\n1,2,3\n", "line 1", "column 'a' is named twice"),
        ("a,b, a \n1,2,3\n", "line 1", "column 'a' is named twice"),
        ("caf\u00e9,b,cafe\u0301\n1,2,3\n", "line 1", "'caf\\xe9'"),
        ("a\n1\n2\n", "", "has one column of numbers only ('a'); at least two are needed"),
        ("a,n\nz,x\nz,y\n", "", "has no column of numbers; at least two are needed"),
        ("", "", "is empty"),
        ("\n\n", "", "is empty"),
        ("a,b\n", "", "a header and no rows"),
        ("a,b\n1,2\n,\n", "line 3", "is empty"),
        ("a,b\n1,2\n3\n", "line 3", "has 1 fields, the header has 2"),
        ("a,b\n1,5,2\n", "line 2", "has 3 fields, the header has 2"),
        ("a,b\n1,2\n".encode("utf-16"), "", "text in UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1", "as in UTF-16"),
        ("größe,b\n1,2\n".encode("latin-1"), "line 1", "is not UTF-8"),
        (b"PK\x03\x04\xff\xff", "", "a workbook"),
        (b"\x1f\x8b\x08\xff", "", "compressed"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_says_so(text: str | bytes, where: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        contents(text)
    assert caught.value.field == ", ".join(filter(None, ("t.csv", where)))
    assert said in caught.value.problem
    assert caught.value.hint


@given(st.text(max_size=12))
def test_no_number_begins_with_a_letter(cell: str) -> None:
    if cell[:1].isalpha():
        assert look_at(cell).kind is not Kind.NUMBER


def test_columns_of_words_are_left_out_with_the_reason() -> None:
    found = contents("id,a,day,b,note\nP1,1,2024-01-03,2,\nP2,3,2024-01-04,4,NA\n")
    assert (found.columns, found.rows) == (("a", "b"), 2)
    assert list(found.left_out) == list(found.declarable) == ["id", "day", "note"]
    assert "'P1' is not a number" in found.left_out["id"]
    assert "date" in found.left_out["day"]


def test_a_left_out_column_of_yes_and_no_is_told_how_to_become_numbers() -> None:
    rows = ["yes,True,,f,no,no", "no,FALSE,NA,m,no,mild", "NA,true,Yes ,m,no,severe"]
    text = "\n".join(
        ["a,b,smoker,old,late,sex,never,degree", *(f"{i},2,{row}" for i, row in enumerate(rows))]
    )
    out = contents(text).left_out
    use = "to use the column, write 1 for {!r} and 0 for {!r}, or as the bounty says"
    for column, pair in {
        "smoker": ("yes", "no"),
        "old": ("true", "false"),
        "late": ("yes", "no"),
        "sex": ("m", "f"),
        "never": ("yes", "no"),
    }.items():
        assert out[column].startswith("line 4: " if column == "late" else "line 2: ")  # it is empty before
        assert out[column].endswith(use.format(*pair)), column
    assert out["degree"] == "line 2: 'no' is not a number; 0 or 1 is expected"


def test_spreadsheets_marks_blanks_and_numbered_columns_do_no_harm() -> None:
    text = '\ufeff"a"; '.replace("; ", ",") + ' b \r\n"1", 2 \r\n\r\n3,4\r\n\r\n'
    assert contents(text) == Contents(("a", "b"), 2, {})
    assert contents("0,1,2\n5,6,7\n").columns == ("0", "1", "2")
