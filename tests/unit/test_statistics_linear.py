"""Correlation, penalised regression and components in one round, against numpy, scipy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet as SkElasticNet
from sklearn.linear_model import Ridge as SkRidge
from sklearn.linear_model import enet_path
from sklearn.preprocessing import StandardScaler

from pysonar.statistics.base import Statistic
from pysonar.statistics.linear.correlation import Correlation, Correlations
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.linear.paths import Path
from pysonar.statistics.linear.pca import Pca, PcaResult
from pysonar.statistics.linear.penalised import ElasticNet, Ridge
from pysonar.statistics.local import compute
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError
from tests.statistics_kit import Matrix, categories, numeric, split

NAMES = ("a", "b", "c", "d")
COLUMNS: tuple[Column, ...] = (
    numeric("a", -10, 10),
    numeric("b", 0, 1e6),
    numeric("c", -30, 60, missing=True),
    numeric("d", 0, 100),
    numeric("w", 0.5, 8),
    numeric("y", -80, 80),
)


def table(n: int = 800, seed: int = 4) -> Matrix:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 2, n), rng.normal(5e5, 3, n)
    c = 2 * a + rng.normal(15, 3, n)
    d = np.full(n, 40.0) + rng.normal(0, 5, n)
    y = 3 * a - (b - 5e5) + 0.2 * c + rng.normal(0, 2, n)
    return np.column_stack([a, b, c, d, rng.uniform(1, 8, n), y])


def of(statistic: Statistic, values: Matrix, columns: tuple[Column, ...] = COLUMNS) -> object:
    return compute(statistic, columns, split(values))


def path(statistic: Statistic, values: Matrix) -> Path:
    found = of(statistic, values)
    assert isinstance(found, Path)
    return found


def test_correlations_are_those_of_complete_rows() -> None:
    values = table()
    values[:9, 2] = np.nan
    found = of(Correlation(columns=("a", "b", "c", "y")), values)
    assert isinstance(found, Correlations)
    rows = values[9:][:, [0, 1, 2, 5]]
    for i in range(4):
        for j in range(i):
            r, p = stats.pearsonr(rows[:, i], rows[:, j])
            assert found.r[i, j] == pytest.approx(r, rel=1e-6)
            assert found.pvalues[i, j] == pytest.approx(p, rel=1e-6)
    assert (found.nobs == len(rows)).all()
    assert found.covariance == pytest.approx(np.cov(rows.T), rel=1e-6)
    assert "P>|t|" in found.summary()


def test_pairwise_correlations_are_those_of_each_pair() -> None:
    values = table()
    values[:9, 2] = np.nan
    found = of(Correlation(columns=("a", "b", "c"), rows="pairwise"), values)
    assert isinstance(found, Correlations)
    assert found.r[0, 1] == pytest.approx(np.corrcoef(values[:, 0], values[:, 1])[0, 1], rel=1e-6)
    assert found.r[0, 2] == pytest.approx(np.corrcoef(values[9:, 0], values[9:, 2])[0, 1], rel=1e-6)
    assert (found.nobs[0, 1], found.nobs[0, 2]) == (len(values), len(values) - 9)


def test_a_constant_column_has_no_correlation_and_is_told() -> None:
    values = table()
    values[:, 3] = 40
    found = of(Correlation(columns=("a", "b", "d")), values)
    assert isinstance(found, Correlations)
    assert np.isnan(found.r[2]).all()
    assert np.isfinite(found.r[:2, :2]).all()
    assert "Column 'd' is constant; its correlation coefficients are not defined." in found.warnings
    with pytest.raises(DataError, match="rows: 1 row with all of the columns; at least 2"):
        of(Correlation(columns=("a", "b")), values[:1])
    with pytest.raises(ConfigError, match=r"statistic.columns: 1 are no pairs"):
        of(Correlation(columns=("a",)), values)


@pytest.mark.parametrize("weight", [None, "w"])
def test_ridge_equals_scikit_learns(weight: str | None) -> None:
    values, alphas = table(), (0.1, 10.0, 1000.0)
    found = path(Ridge(target="y", columns=NAMES, alphas=alphas, weight=weight), values)
    for alpha, coef, intercept in zip(found.alphas, found.coefs, found.intercepts, strict=True):
        theirs = SkRidge(alpha=alpha, solver="svd")
        shift = np.array([0, 5e5, 0, 0])
        theirs.fit(values[:, :4] - shift, values[:, 5], sample_weight=values[:, 4] if weight else None)
        assert coef == pytest.approx(theirs.coef_, rel=1e-6)
        assert intercept == pytest.approx(theirs.intercept_ - theirs.coef_ @ shift, rel=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_the_elastic_nets_path_equals_scikit_learns(l1_ratio: float) -> None:
    values = table()
    found = path(ElasticNet(target="y", columns=NAMES, l1_ratio=l1_ratio, n_alphas=20), values)
    x, y = values[:, :4] - values[:, :4].mean(axis=0), values[:, 5] - values[:, 5].mean()
    alphas, coefs, _ = enet_path(x, y, l1_ratio=l1_ratio, alphas=20, tol=1e-14, max_iter=100_000)
    assert found.alphas == pytest.approx(alphas, rel=1e-6)
    assert found.coefs == pytest.approx(coefs.T, rel=1e-5, abs=1e-7)
    assert (found.coefs[0] == 0).sum() >= 3


def test_an_elastic_net_per_deviation_equals_a_scaled_one() -> None:
    values = table()
    statistic = ElasticNet(target="y", columns=NAMES, alphas=(0.2,), standardize=True, weight="w")
    found = path(statistic, values)
    scaler = StandardScaler().fit(values[:, :4], sample_weight=values[:, 4])
    theirs = SkElasticNet(alpha=0.2, tol=1e-14, max_iter=100_000)
    theirs.fit(scaler.transform(values[:, :4]), values[:, 5], sample_weight=values[:, 4])
    assert found.coefs[0] == pytest.approx(theirs.coef_ / scaler.scale_, rel=1e-5)
    predicted = found.predict(dict(zip(NAMES, values.T, strict=False)))
    assert predicted == pytest.approx(theirs.predict(scaler.transform(values[:, :4])), rel=1e-4, abs=1e-4)


def test_a_regressions_sums_give_the_paths_too() -> None:
    values = table()
    fit = of(Ols(target="y", columns=NAMES, weight="w"), values)
    assert isinstance(fit, OlsResult)
    asked = path(Ridge(target="y", columns=NAMES, alphas=(2.0,), weight="w"), values)
    assert fit.ridge((2.0,)).coefs == pytest.approx(asked.coefs)
    lasso = ElasticNet(target="y", columns=NAMES, l1_ratio=1, n_alphas=5, weight="w")
    assert fit.elastic_net(1.0, n_alphas=5).coefs == pytest.approx(path(lasso, values).coefs)
    with pytest.raises(ConfigError, match=r"^l1_ratio: .*\nhint: see help\(pysonar.elastic_net\)") as caught:
        fit.elastic_net(1.5)
    assert caught.value.field == "l1_ratio"
    calls: tuple[Callable[[], object], ...] = (
        lambda: fit.ridge([]),
        lambda: fit.ridge(3),  # type: ignore[arg-type]
        lambda: fit.elastic_net(alphas=[0.0]),
        lambda: fit.elastic_net(n_alphas=0),
    )
    for call in calls:
        with pytest.raises(ConfigError) as caught:
            call()
        assert "statistic." not in str(caught.value)
        assert caught.value.hint


def test_ridge_bears_what_least_squares_refuse() -> None:
    values = table()
    values[:, 3] = 2 * values[:, 0] + 40
    found = path(Ridge(target="y", columns=NAMES), values)
    theirs = SkRidge(solver="svd").fit(values[:, :4] - [0, 5e5, 0, 0], values[:, 5])
    assert found.coefs[0] == pytest.approx(theirs.coef_, rel=1e-5)
    with pytest.raises(DataError, match="column 'd' varies as 'a'"):
        of(Ols(target="y", columns=NAMES), values)
    few = path(Ridge(target="y", columns=NAMES), values[:4])
    assert np.isfinite(few.coefs).all()


@pytest.mark.parametrize("standardize", [False, True])
def test_components_equal_scikit_learns_signs_too(standardize: bool) -> None:
    values = table()[:, :4]
    found = compute(Pca(components=3, standardize=standardize), COLUMNS[:4], split(values))
    assert isinstance(found, PcaResult)
    scaled = StandardScaler().fit_transform(values) if standardize else values - [0, 5e5, 0, 0]
    theirs = PCA(3, svd_solver="full").fit(scaled)
    assert found.components == pytest.approx(theirs.components_, rel=1e-6, abs=1e-8)
    assert found.explained_variance == pytest.approx(theirs.explained_variance_, rel=1e-6)
    assert found.explained_variance_ratio == pytest.approx(theirs.explained_variance_ratio_, rel=1e-6)
    assert found.singular_values == pytest.approx(theirs.singular_values_, rel=1e-6)
    assert found.noise_variance == pytest.approx(theirs.noise_variance_, rel=1e-6)
    scores = found.transform(dict(zip(NAMES, values.T, strict=True)))
    assert scores == pytest.approx(theirs.transform(scaled), abs=1e-5)


def test_components_refuse_what_they_cannot_scale() -> None:
    values = table()[:, :4]
    values[:, 3] = 40
    with pytest.raises(DataError, match="'d' is constant"):
        compute(Pca(standardize=True), COLUMNS[:4], split(values))
    with pytest.raises(ConfigError, match=r"statistic.components: is 9; there are 4"):
        compute(Pca(components=9), COLUMNS[:4], split(values))
    with pytest.raises(ConfigError, match=r"statistic.columns: column 'sex' has categories"):
        Pca(columns=("sex",)).spec((categories("sex", "f", "m"),), 10, 100)
