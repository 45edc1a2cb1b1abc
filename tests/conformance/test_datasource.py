"""One suite for every source of rows. A new kind is a subclass of SourceContract with its two fixtures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mine.data.base import Batches, DataSource
from mine.data.csv import CsvFile
from mine.data.dataset import DataSet, check_name, register
from mine.data.example import Example
from mine.data.registry import SOURCES
from sonar.data.table import BATCH_VALUES
from sonar.errors import DataError
from tests.sums_kit import number


def read(source: DataSource, *columns: str) -> tuple[list[NDArray[np.float64]], str]:
    """All batches of these columns, and the fingerprint that came at their end."""
    return taken(source.batches(columns))


def taken(batches: Batches) -> tuple[list[NDArray[np.float64]], str]:
    """All of these batches, and what came at their end."""
    found = []
    while True:
        try:
            found.append(next(batches))
        except StopIteration as end:
            return found, end.value


def columns_of(source: DataSource) -> tuple[str, ...]:
    return source.contents()[0].columns


class SourceContract:
    """`source` has some rows; `kind` is its name in the registry, and `at` where it says it is."""

    kind: str

    @pytest.fixture
    def at(self, tmp_path: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def source(self, at: str) -> DataSource:
        return SOURCES[self.kind](at)

    def test_every_column_has_a_name_of_its_own(self, source: DataSource) -> None:
        assert len(set(columns_of(source))) == len(columns_of(source)) > 1

    def test_its_name_can_name_a_data_set(self, source: DataSource) -> None:
        assert check_name(source.name) == source.name

    def test_batches_are_finite_numbers_of_the_columns_asked_for(self, source: DataSource) -> None:
        columns = columns_of(source)[:2]
        batches, _ = read(source, *columns)
        assert all(batch.dtype == np.float64 and batch.shape[1] == 2 and len(batch) for batch in batches)
        assert all(np.isfinite(batch).all() for batch in batches)

    def test_columns_come_in_the_order_asked_for(self, source: DataSource) -> None:
        one, two = columns_of(source)[:2]
        here, there = (np.concatenate(read(source, *columns)[0]) for columns in ((one, two), (two, one)))
        np.testing.assert_array_equal(here, there[:, ::-1])

    def test_the_same_batches_come_again(self, source: DataSource) -> None:
        (once, first), (again, second) = (read(source, *columns_of(source)[:2]) for _ in range(2))
        assert first == second
        assert [batch.tolist() for batch in once] == [batch.tolist() for batch in again]

    def test_what_was_read_has_the_fingerprint_of_the_whole(self, source: DataSource) -> None:
        assert len(bytes.fromhex(source.fingerprint())) == 32
        for columns in ((), columns_of(source)[:1], columns_of(source)[:2]):
            assert read(source, *columns)[1] == source.fingerprint()

    def test_without_columns_it_tells_how_many_rows_there_are(self, source: DataSource) -> None:
        rows = sum(map(len, read(source, columns_of(source)[0])[0]))
        assert sum(map(len, read(source)[0])) == rows > 0
        assert source.contents()[0].rows == rows

    def test_a_look_at_the_contents_takes_the_fingerprint_too(self, source: DataSource) -> None:
        assert source.contents()[1] == source.fingerprint()

    def test_a_column_that_nobody_wants_is_not_among_the_contents(self, source: DataSource) -> None:
        first, *others = columns_of(source)
        found, _ = source.contents((first,))
        assert list(found.columns) == others
        assert first in found.left_out
        with pytest.raises(DataError, match="is missing"):
            source.contents(("no such thing",))

    def test_a_missing_column_is_named(self, source: DataSource) -> None:
        with pytest.raises(DataError, match="column 'no such thing': is missing"):
            read(source, "no such thing")

    def test_rows_come_coded_by_a_schema(self, source: DataSource) -> None:
        one, two = columns_of(source)[:2]
        schema = (number(two, -1e6, 1e6), number(one, -1e6, 1e6))
        plain, fingerprint = read(source, two, one)
        coded, again = taken(source.coded(schema))
        assert again == fingerprint
        np.testing.assert_array_equal(np.concatenate(coded), np.concatenate(plain))

    def test_it_registers_and_is_found_unchanged(self, at: str) -> None:
        found = register(self.kind, at)
        assert DataSet.from_record(found.to_record()) == found
        found.verify()
        assert sum(len(batch) for batch in found.batches(found.columns[:1])) == found.rows


class TestCsvFile(SourceContract):
    kind = "csv"

    @pytest.fixture
    def at(self, tmp_path: Path) -> str:
        return self.file(tmp_path, 1_000)

    @staticmethod
    def file(folder: Path, rows: int) -> str:
        path = folder / f"{rows}.csv"
        path.write_text("a,b,c,remark\n" + "".join(f"{i},{i / 7!r},2,x\n" for i in range(rows)))
        return str(path)

    def test_a_file_is_never_whole_in_memory(self, tmp_path: Path) -> None:
        source = SOURCES[self.kind](self.file(tmp_path, 300_000))
        sizes = [batch.size for batch in read(source, "a", "b")[0]]
        assert len(sizes) > 2
        assert max(sizes) <= BATCH_VALUES

    def test_other_rows_are_found_out_at_the_end(self, at: str) -> None:
        """Between a look and the reading, too: what was read is what is held against what was registered."""
        found = register("csv", at)
        with Path(at).open("a") as file:
            file.write("1,2,3,x\n")
        with pytest.raises(DataError, match="has changed since it was registered"):
            for _ in found.batches(("a",)):
                pass


class TestExample(SourceContract):
    kind = "example"

    @pytest.fixture
    def at(self, tmp_path: Path) -> str:
        return Example.source_of("diabetes", "3/10")

    def test_shards_differ(self) -> None:
        assert len({Example(f"diabetes:{part}/10").fingerprint() for part in range(1, 11)}) == 10

    @pytest.mark.parametrize("source", ["", "diabetes", "diabetes:0/10", "diabetes:3/0", "../x:1/2", "x:1/1"])
    def test_a_source_that_is_none_is_refused(self, source: str) -> None:
        with pytest.raises(DataError):
            Example(source).contents()


def test_every_kind_has_been_through_the_suite() -> None:
    tested: dict[str, type[DataSource]] = {"csv": CsvFile, "example": Example}
    sources = {"csv": "rows.csv", "example": "diabetes:1/10"}
    assert {kind: type(make(sources[kind])) for kind, make in SOURCES.items()} == tested
