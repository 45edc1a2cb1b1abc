"""How results are shown: numbers as people read them, tables in text and HTML, frames, pictures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from matplotlib import pyplot as plt

from pysonar.statistics.chances import t_p_values
from pysonar.statistics.linear.correlation import Correlation, Correlations
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.linear.pca import Pca, PcaResult
from pysonar.statistics.local import compute
from pysonar.statistics.shown.plots import spread
from pysonar.statistics.shown.report import plain
from pysonar.statistics.shown.table import Table, frame_of, html_of, number, p_value, text_of
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.description import Description
from pysonar.statistics.single.histograms import AskHistogram, HistogramResult
from sonar.data.schema import Column
from sonar.errors import ClientMissing, DataError, UsageError
from tests.statistics_kit import Matrix, categories, numeric, split

COLUMNS: tuple[Column, ...] = (
    numeric("a", -10, 10),
    numeric("b", 0, 9),
    categories("g", "x", "y"),
    numeric("y", -90, 90),
)


def rows(n: int = 300) -> Matrix:
    rng = np.random.default_rng(2)
    a, b, g = rng.normal(0, 2, n), rng.uniform(1, 8, n), rng.integers(0, 2, n)
    return np.column_stack([a, b, g, 4 * a - b + 5 * g + rng.normal(0, 1, n)])


def regression() -> OlsResult:
    found = compute(Ols(target="y"), COLUMNS, split(rows(), 3))
    assert isinstance(found, OlsResult)
    return found


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (0.0, "0"), (None, ""), ("as is", "as is"), (1.23456, "1.2346"), (-0.5, "-0.5000"),
        (0.00123456, "0.001235"), (1.5e-12, "1.5e-12"), (1234.5678, "1234.57"), (900_000.0, "900000"),
        (-1_801_637.2, "-1801637"), (4.2e9, "4.2e+09"), (float("nan"), "nan"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_people_read(value: float | str | None, text: str) -> None:
    assert number(value) == text


def test_small_p_values_are_told_as_such() -> None:
    assert [p_value(value) for value in (0.0, 0.0004, 0.0006, 0.05, 1.0)] == [
        "<0.001",
        "<0.001",
        "0.001",
        "0.050",
        "1.000",
    ]


def test_html_is_escaped_and_text_is_aligned() -> None:
    table = Table(("<b>", "P>|t|"), (("<script>", (1.0, 0.2)), ("b", (-12345.0, 0.0))))
    html = html_of("<i>", (("<f>", "&"),), (table,), ("<n>",))
    for raw in ("<script>", "<b>", "<i>", "<f>", "<n>"):
        assert raw not in html
    lines = text_of("title", (("fact", 1),), (table,), ("note " * 40,)).splitlines()
    body = [line for line in lines if line.startswith(("<script>", "b "))]
    assert len({len(line) for line in body}) == 1
    assert all(len(line) <= 78 for line in lines)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_become_frames(library: Any) -> None:
    pytest.importorskip(library)
    found = regression().to_frame(library)
    assert type(found).__module__.split(".")[0] == library
    values = found["Coef."].to_pylist() if library == "pyarrow" else found["Coef."].to_list()
    assert values == regression().params.tolist()
    if library == "pandas":
        assert list(found.index) == ["Intercept", "a", "b", "g[y]"]


def test_a_library_that_is_not_there_is_named() -> None:
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "from pysonar.statistics.shown.table import Table, frame_of\n"
        "frame_of(Table(('x',), (('a', (1.0,)),)), 'polars')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ClientMissing: no data frame" in done.stderr
    assert "pip install polars" in done.stderr


def test_an_unknown_library_is_refused() -> None:
    table = Table(("x",), (("a", (1.0,)),))
    with pytest.raises(UsageError, match="'excel' is none of pandas, polars, pyarrow"):
        frame_of(table, cast(Any, "excel"))


def test_missing_scipy_and_matplotlib_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = regression()
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ClientMissing) as caught:
        t_p_values(np.ones(2), 3)
    assert "sonar-network-scientist[stats]" in caught.value.hint
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ClientMissing, match="no picture"):
        found.plot()


def test_what_is_not_finite_is_null_in_json() -> None:
    assert plain({"a": np.array([1.0, np.nan]), "b": (np.int64(2), float("inf"))}) == {
        "a": [1.0, None],
        "b": [2, None],
    }


def test_coefficients_are_drawn_per_deviation() -> None:
    found = regression()
    axes = found.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "g[y]"]
    drawn = axes.lines[-1].get_xdata()
    assert drawn == pytest.approx(found.params[1:] * [rows()[:, 0].std(), rows()[:, 1].std(), 1.0])
    own = found.plot(standardize=False)
    assert own.lines[-1].get_xdata() == pytest.approx(found.params[1:])


def test_a_path_a_matrix_and_components_are_drawn() -> None:
    lasso = regression().elastic_net(1.0, n_alphas=12)
    assert len(lasso.plot().lines) == 1 + 3
    with pytest.raises(DataError, match="alphas: there is one"):
        regression().ridge((1.0,)).plot()
    correlations = compute(Correlation(), COLUMNS, split(rows(), 3))
    assert isinstance(correlations, Correlations)
    image = correlations.plot().images[0]
    assert np.asarray(image.get_array()) == pytest.approx(correlations.r)
    components = compute(Pca(standardize=True), COLUMNS, split(rows(), 3))
    assert isinstance(components, PcaResult)
    axes = components.plot()
    expected = np.corrcoef(
        components.transform(dict(zip("abgy", rows().T, strict=True)))[:, 0], rows()[:, 0]
    )[0, 1]
    assert float(axes.texts[0].xy[0]) == pytest.approx(expected, abs=1e-6)


def test_histograms_are_drawn_on_given_axes() -> None:
    histogram = compute(AskHistogram(column="a", by="g"), COLUMNS, split(rows(), 3))
    description = compute(Describe(by="g"), COLUMNS, split(rows(), 3))
    assert isinstance(histogram, HistogramResult)
    assert isinstance(description, Description)
    _, (left, right) = plt.subplots(1, 2)
    assert histogram.plot(left) is left
    assert description.plot("a", right) is right
    assert right.get_legend().get_title().get_text() == "g"


def test_names_keep_their_distance() -> None:
    found = spread(np.array([0.0, 0.01, 1.0, -1.0]), 0.1)
    assert found == pytest.approx([0.0, 0.1, 1.0, -1.0])
