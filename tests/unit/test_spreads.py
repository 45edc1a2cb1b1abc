"""Targets of small spread, as shares, pH or logarithms: nothing is lost in rounding, or won by it."""

from __future__ import annotations

import pytest

from benchmarks.spreads import Table, tables, trained

TABLES = [table for seed in (11, 12) for table in tables(seed)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_target_of_small_spread_is_learned_as_by_least_squares(table: Table) -> None:
    reached = trained(table)
    assert reached.r2[0] == pytest.approx(
        0.0, abs=1e-6
    )  # zero weights reach nothing, so they are paid nothing
    assert reached.pooled_r2 > 0.6
    assert max(reached.r2) == pytest.approx(reached.pooled_r2, abs=0.005)
    assert reached.r2[-1] == pytest.approx(reached.pooled_r2, abs=0.005)
    largest = max(abs(value) for name, value in reached.pooled.items() if name != "(bias)")
    for name, value in reached.coefficients.items():
        assert value == pytest.approx(reached.pooled[name], rel=0.1, abs=0.1 * largest)
    assert reached.coefficients["(bias)"] == pytest.approx(reached.pooled["(bias)"], abs=0.1 * largest)
