"""The checks of the contract can fail: each finds what it is there to find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


TABLES = load_script("contract_tables")
COVERAGE = load_script("contract_coverage")
SLITHER = load_script("check_slither")
MUTATION = load_script("mutate_contracts")


class TestTables:
    def test_the_readme_is_that_of_the_committed_snapshots(self) -> None:
        text = TABLES.README.read_text(encoding="utf-8")
        assert TABLES.with_tables(text, TABLES.read(TABLES.SNAPSHOTS)) == text

    def test_another_figure_makes_another_readme(self) -> None:
        snapshots = TABLES.read(TABLES.SNAPSHOTS)
        snapshots["gas-ether"]["reveal"] += 1
        text = TABLES.README.read_text(encoding="utf-8")
        assert TABLES.with_tables(text, snapshots) != text

    def test_a_readme_without_a_place_for_a_table_is_refused(self) -> None:
        with pytest.raises(ValueError, match="0 places for the table of calls"):
            TABLES.with_tables("", TABLES.read(TABLES.SNAPSHOTS))

    @pytest.mark.parametrize(
        ("group", "measured", "found"),
        [
            ("gas-ether", {"reveal": 1009}, False),
            ("gas-ether", {"reveal": 1011}, True),
            ("gas-ether", {"reveal": 989}, True),
            ("gas-ether", {}, True),
            ("gas-ether", {"reveal": 1000, "close": 1}, True),
            ("calls", {"reveal": 1001}, True),
        ],
    )
    def test_what_differs_from_the_committed(self, group: str, measured: dict[str, int], found: bool) -> None:
        assert bool(TABLES.differences({group: {"reveal": 1000}}, {group: measured})) == found

    def test_every_error_has_a_name_by_its_selector(self) -> None:
        names = TABLES.error_names()
        assert names[898634188] == "WrongStatus"
        assert {"BountyExists", "CommitsExist", "UnknownBounty"} < set(names.values())


LCOV = """TN:
SF:contracts/src/Payout.sol
DA:24,7
BRDA:25,0,0,1
BRDA:25,0,1,-
DA:26,0
end_of_record
SF:contracts/test/Base.t.sol
DA:1,0
end_of_record
"""


def test_coverage_counts_the_sources_alone_and_names_what_is_missed() -> None:
    total, missed = COVERAGE.read(LCOV)
    assert total == 4
    assert missed == [
        "contracts/src/Payout.sol:25: a branch is never taken",
        "contracts/src/Payout.sol:26: never runs",
    ]


class TestSlither:
    FINDING = ("timestamp", "low", "TrainingMarket._statusOf")

    def test_the_committed_explanations_can_be_read(self) -> None:
        assert self.FINDING in SLITHER.explained(SLITHER.EXPLAINED.read_text(encoding="utf-8"))

    def test_a_line_that_cannot_be_read_is_no_explanation(self) -> None:
        with pytest.raises(ValueError, match="1 lines"):
            SLITHER.explained("| `timestamp` | low | `A.b` |  |")

    def test_a_finding_without_explanation_and_the_other_way_round(self) -> None:
        assert SLITHER.differences([self.FINDING], [self.FINDING]) == []
        assert SLITHER.differences([self.FINDING], []) == [
            "not explained: timestamp low TrainingMarket._statusOf"
        ]
        assert SLITHER.differences([], [self.FINDING])[0].startswith("not found any more")

    def test_findings_are_known_by_detector_severity_and_place(self) -> None:
        element = {"name": "_statusOf", "type_specific_fields": {"parent": {"name": "TrainingMarket"}}}
        found = {"check": "timestamp", "impact": "Low", "elements": [element]}
        assert SLITHER.findings({"success": True, "results": {"detectors": [found]}}) == [self.FINDING]

    def test_a_failed_analysis_is_no_clean_one(self) -> None:
        with pytest.raises(ValueError, match="broken"):
            SLITHER.findings({"success": False, "error": "broken", "results": {}})


SOURCE = """library Flags {
    function set(uint8 flags) internal pure returns (uint8) {
        flags |= 4; // never this: |= &
        return flags & ~2 | 8;
    }
}
"""
DIFF = """--- contracts/src/Flags.sol
+++ contracts/src/Flags.sol
@@ -3 +3,2 @@ library Flags {
-    old
+    new
+    newer
@@ -9,2 +10,0 @@
-    gone
-    gone
"""


class TestMutation:
    def test_bits_are_mutated_and_comments_are_not(self) -> None:
        changed = {what for _, _, _, what in MUTATION.changes(MUTATION.blank("\n" + SOURCE))}
        assert {"|= -> &=", "& -> |", "4 -> 5", "removed"} <= changed
        starts = [start for start, *_ in MUTATION.changes(MUTATION.blank("\n" + SOURCE))]
        comment = SOURCE.index("//") + 1
        assert not [start for start in starts if comment <= start < SOURCE.index("return flags")]

    def test_lines_that_a_diff_adds(self) -> None:
        assert MUTATION.added_lines(DIFF) == {("Flags.sol", 3), ("Flags.sol", 4)}

    def test_every_reason_is_of_a_mutant_that_there_is(self) -> None:
        keys = {mutant.key for mutant in MUTATION.mutants()}
        reasons = [(r["file"], r["text"], r["change"]) for r in json.loads(MUTATION.REASONS.read_text())]
        assert set(reasons) <= keys
        assert len(set(reasons)) == len(reasons)
