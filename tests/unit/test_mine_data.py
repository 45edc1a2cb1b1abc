import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mine.data import dataset as data
from mine.data.dataset import DataSet
from sonar.data.schema import Schema
from sonar.errors import DataError
from tests.sums_kit import category, number


def numbers(found: DataSet, columns: list[str]) -> NDArray[np.float64]:
    return np.concatenate(list(found.batches(columns)))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return write(tmp_path / "my patients.csv", "age,name,y\n1,Ann,2.5\n3,Bob,-4e1\n")


def test_a_csv_is_described_by_its_columns_rows_and_digest(csv_file: Path) -> None:
    found = data.register_csv(csv_file)
    assert (found.name, found.columns, found.rows) == ("my-patients", ("age", "y"), 2)
    assert found.left_out == {"name": "line 2: 'Ann' is not a number"}
    assert found.source == str(csv_file)
    assert found.declarable == ("name",)
    assert len(found.digest) == 64
    assert DataSet.from_record(found.to_record()) == found


@pytest.mark.parametrize(
    ("file", "name"), [(".csv", "csv"), ("-x.csv", "x"), ("żółć.csv", "data"), ("x" * 99 + ".csv", "x" * 64)]
)
def test_any_file_has_a_name_to_go_by(tmp_path: Path, file: str, name: str) -> None:
    """`mine init --csv` takes no other."""
    assert data.register_csv(write(tmp_path / file, "a,b\n1,2\n")).name == name


def test_columns_come_in_the_order_asked_for(csv_file: Path) -> None:
    found = data.register_csv(csv_file)
    np.testing.assert_array_equal(numbers(found, ["y", "age"]), [[2.5, 1.0], [-40.0, 3.0]])


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n")
    np.testing.assert_array_equal(numbers(data.register_csv(path), ["a", "b"]), [[1, 2], [3, 4]])


def test_a_changed_file_is_refused(csv_file: Path) -> None:
    found = data.register_csv(csv_file)
    write(csv_file, csv_file.read_text() + "5,Eve,6\n")
    with pytest.raises(DataError, match="has changed") as caught:
        numbers(found, ["age"])
    assert "mine data add" in caught.value.hint


def test_an_address_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        data.register_csv(tmp_path / "https://example.com/rows.csv")
    assert "download it" in caught.value.hint


def test_a_quote_that_is_never_closed_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a quote opened before it is never closed"):
        data.register_csv(write(tmp_path / "d.csv", 'a,b\n1,2\n"3,4\n5,6\n'))


def test_a_missing_column_is_named(csv_file: Path) -> None:
    found = data.register_csv(csv_file)
    assert found.missing(["age", "bmi"]) == ["bmi"]
    with pytest.raises(DataError, match="column 'bmi'"):
        numbers(found, ["age", "bmi"])


@pytest.mark.parametrize("bad", ["Bob", "inf", "1_0", "1,", "0x10"])
def test_a_value_that_is_no_number_is_named_by_column_and_line(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "t.csv", f"b,a\n2,1\n3,{bad}\n" if bad != "1," else "b,a\n2,1\n3\n")
    with pytest.raises(DataError, match=r"line 3.*(column 'a'|1 fields)"):
        data.register_csv(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("a;b;c\n1;2;3\n", "semicolons"),
        ("a,,c\n1,2,3\n", "line 1: column 2 has no name"),
        ("a,b,a\n1,2,3\n", "line 1: column 'a' is named twice"),
        ("# patients\na,b\n1,2\n", "line 2: has 2 fields, the header has 1"),
        ("a,b\n1,2\n3,4,5\n", "line 3: has 3 fields, the header has 2"),
        ("a,b\n", "no rows"),
        ('a,b\n"1,2\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        data.register_csv(write(tmp_path / "t.csv", text))


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(DataError, match="line 2: is not UTF-8"):
        data.register_csv(tmp_path / "t.csv")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        data.register_csv(tmp_path / "nothing.csv")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """As of `--csv <(zcat patients.csv.gz)`: it could be read once, and is needed in every round."""
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match="is not a file"):
        data.register_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, ".hidden"])
def test_a_name_that_could_harm_a_path_or_a_terminal_is_refused(csv_file: Path, name: str) -> None:
    with pytest.raises(DataError, match="is not a name"):
        data.check_name(name)


def test_the_first_shard_the_last_and_the_whole_are_shards() -> None:
    names = [data.register_example("diabetes", shard).name for shard in ("1/10", "10/10", "1/1")]
    assert names == ["diabetes-1-of-10", "diabetes-10-of-10", "diabetes-1-of-1"]
    assert data.register_example("diabetes", "1/10", "mine").name == "mine"


@pytest.mark.parametrize("shard", ["0/10", "11/10", "3", "3/", "a/b", "-1/3"])
def test_a_shard_that_is_none_is_refused(shard: str) -> None:
    with pytest.raises(DataError, match="shard"):
        data.register_example("diabetes", shard)


SCHEMA: Schema = (
    number("age", 0, 100),
    number("bmi", 10, 60, missing=True),
    category("sex", ("f", "m")),
    category("smoker", ("False", "True"), missing=True),
    category("stage", ("1", "2", "3")),
)
HEADER = "stage,note,age,bmi,sex,smoker\n"


def codes(path: Path, rows: str) -> list[list[float]]:
    found = data.register_csv(write(path / "t.csv", HEADER + rows))
    return [[-1.0 if np.isnan(one) else one for one in row] for batch in found.coded(SCHEMA) for row in batch]


def test_cells_become_codes_by_the_schema(tmp_path: Path) -> None:
    rows = "1,x,20,NA,m,TRUE\n2.0,y,140, 22.5 , f ,false\n 3 ,NA,-1,,f,unknown\n03,z,5,7,f,False\n"
    assert codes(tmp_path, rows) == [
        [20, -1, 1, 1, 0],
        [140, 22.5, 0, 0, 1],
        [-1, -1, 0, -1, 2],
        [5, 7, 0, 0, 2],
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("4,x,20,5,m,True", "column 'stage': '4' is none of the bounty's categories: '1', '2', '3'"),
        ("1,x,20,5,M,True", "column 'sex': 'M' is none of the bounty's categories: 'f', 'm'"),
        ("1,x,20,5,,True", "column 'sex': is empty; a category is expected"),
        ("1,x,NA,5,f,True", "column 'age': 'NA' stands for a missing value; a number is expected"),
        ("1,x,20,5,f,maybe", "column 'smoker': 'maybe' is none of the bounty's categories: 'False', 'True'"),
    ],
)
def test_a_cell_that_the_schema_does_not_allow_is_told_to_its_owner(
    tmp_path: Path, row: str, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        codes(tmp_path, f"1,x,20,NA,m,TRUE\n{row}\n")
    assert caught.value.field.endswith("line 3")
    assert caught.value.problem == said
    assert caught.value.hint


def test_a_level_that_looks_like_a_missing_value_is_a_level(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,x\n1,none,x\n2,some,x\n3,,x\n4,NA,x\n")
    column = category("b", ("none", "some"), missing=True)
    found = list(data.register_csv(path).coded((column,)))
    np.testing.assert_array_equal(np.concatenate(found).ravel(), [0, 1, np.nan, np.nan])


def test_numbers_of_an_example_can_be_categories() -> None:
    found = data.register_example("diabetes", "1/10")
    names = {name: np.concatenate(list(found.batches([name]))).ravel() for name in found.columns}
    name = min(names, key=lambda name: len(np.unique(names[name])))
    levels = [f"{value:g}" for value in np.unique(names[name])]
    coded = np.concatenate(list(found.coded((category(name, levels), number(found.columns[0])))))
    assert np.unique(coded[:, 0]).tolist() == list(range(len(levels)))
    with pytest.raises(DataError, match="none of the bounty's categories"):
        list(found.coded((category(name, ["x", "y"]),)))


def test_a_column_of_text_serves_only_bounties_that_declare_it(csv_file: Path) -> None:
    found = data.register_csv(csv_file)
    assert found.missing(["age", "name"]) == ["name"]
    assert not found.missing(["age", "name"], declared=True)
    found.examine()
    with pytest.raises(DataError, match="column 'name'"):
        numbers(found, ["name"])


def test_a_column_left_out_by_name_serves_none(csv_file: Path) -> None:
    found = data.register_csv(csv_file, without=["name"])
    assert found.missing(["age", "name"], declared=True) == ["name"]
    found.examine()


def test_what_was_registered_before_columns_could_be_declared_is_read(csv_file: Path) -> None:
    record = data.register_csv(csv_file).to_record()
    del record["declarable"]
    assert DataSet.from_record(record).declarable == ()
