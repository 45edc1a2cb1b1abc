"""The benchmarks: every measure is there, figures follow from medians, and JSON is all that is printed.

How long anything takes is for `make bench` to say, and for no test.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import attack, audits, limit, sampler, updates, veil
from benchmarks.__main__ import machine, show
from benchmarks.contenders import Sonar, Task
from benchmarks.measures import MEASURES
from benchmarks.peers import PEERS
from benchmarks.race import Result, race

ROOT = Path(__file__).parents[2]


def test_the_measures_have_the_names_that_are_documented() -> None:
    documented = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"| `{name}` |" in documented for name in MEASURES)
    assert list(MEASURES) == [
        "update_2048",
        "update_3072",
        "round_ten_1core",
        "round_ten_2cores",
        "rows_44000_vs_44",
        "steps_1000_vs_1",
        "update_d1000_seconds",
        "packed_sum_2048",
        "packed_sum_3072",
        "encrypt_vs_heu",
        "bytes_per_value",
        "campaign",
        "demo",
        "demo_capsules",
        "veil_update",
        "veil_update_phe",
        "veil_masks",
        "words",
        "veil_sum",
        "veil_openings",
        "veil_audit",
        "privacy_accuracy",
        "privacy_attacker",
        "privacy_shares",
        "privacy_sampler",
        "privacy_accounting",
        "privacy_attack",
        "sums_2000",
        "share_of_limit",
    ]


def test_one_round_of_updates_against_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are installed are raced and their results checked; the others are named."""
    monkeypatch.setattr(updates, "TURN_S", 0.0)
    result = updates.update(2048, rounds=1).to_json()
    peers = {"phe", "phe precision=1e-6", "phe + Gram"}
    others = {peer.name for peer in PEERS}  # type: ignore[attr-defined]
    assert set(result["ratio"]) | set(result.get("missing", ())) == peers | others
    assert peers <= set(result["ratio"]) == set(result["ratio_with_pool_entry"])
    medians = result["medians"]
    assert result["ratio"]["phe"] == pytest.approx(medians["phe"] / medians["sonar"])
    both = medians["sonar"] + medians["sonar, its pool entry"]
    assert result["ratio_with_pool_entry"]["phe"] == pytest.approx(medians["phe"] / both)


def test_ours_is_measured_against_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "TURN_S", 0.0)
    for measure, first in ((updates.rows_44000_vs_44, "44 rows"), (updates.steps_1000_vs_1, "1 step")):
        found = measure(1)
        (second,) = set(found.medians) - {first}
        assert found.ratio == {first: found.medians[second] / found.medians[first]}


def test_a_veiled_update_is_measured_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the plain one and phe, all from the same rows to the same gradient."""
    monkeypatch.setattr(veil, "TURN_S", 0.0)
    found = veil.veil_update(1)
    assert found.ratio == {"plain": found.medians["sonar"] / found.medians["plain"]}
    assert set(veil.veil_update_phe(1).ratio) == {"phe"}


def test_vectors_are_summed_under_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours alone, and short ones: Flower has an environment of its own."""
    monkeypatch.setattr(veil, "FLOWER", Path("/nowhere"))
    monkeypatch.setattr(veil, "WORDS", 20_000)
    found = veil.veil_masks(1, quick=True)
    assert found.medians["sonar, bytes a value"] == 8
    assert found.missing == ("Flower SecAgg+",)
    assert found.ratio == {}


def test_openings_are_checked() -> None:
    assert veil.veil_openings(1, count=12).medians["sonar"] > 0


def test_a_settlement_is_audited() -> None:
    found = audits.veil_audit(1, mines=4, bits=1024)
    assert found.medians["sonar"] > 0


def test_a_capsules_memory_grows_with_neither_mines_nor_words() -> None:
    """Real processes: interpreter, libraries and all stay below 64 MiB."""
    few, words, mines = (
        veil.veil_sum(1, *size)["medians"]["peak memory, MiB"]
        for size in ((5, 50_000), (5, 500_000), (255, 50_000))
    )
    assert max(few, words, mines) <= 64
    assert words - few < 2
    assert mines - few < 4


def test_the_limit_is_measured_at_both_key_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "LOOPS", 1)
    found = limit.share_of_limit(1)
    assert set(found.ratio) == {"limit 2048", "limit 3072"}
    assert all(value > 0 for value in found.medians.values())


def test_a_wrong_result_stops_the_race() -> None:
    task = Task(2048)
    ours = Sonar(task)
    runner = updates.checked(ours, task)
    assert runner() > 0
    task.w = task.w + 1.0  # the encrypted weights are others now
    with pytest.raises(RuntimeError, match="sonar is off by"):
        runner()


def test_contenders_run_once_a_round() -> None:
    calls: list[str] = []

    def runner(name: str, seconds: list[float]) -> Callable[[], float]:
        def run() -> float:
            calls.append(name)
            return seconds[calls.count(name) - 1]

        return run

    medians = race({"a": runner("a", [1, 5, 2]), "b": runner("b", [7, 7, 9])}, 3)
    assert medians == {"a": 2, "b": 7}
    assert all(set(calls[i : i + 2]) == {"a", "b"} for i in range(0, 6, 2))


def test_only_one_document_is_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", "--only", "bytes_per_value"]
    done = subprocess.run(
        [*command, "--results", tmp_path], cwd=ROOT, check=True, capture_output=True, text=True
    )
    document = json.loads(done.stdout)
    assert set(document) == {"machine", "bytes_per_value"}
    assert document["bytes_per_value"]["medians"]["sonar 2048"] <= 5.1
    assert json.loads((tmp_path / "benchmarks.json").read_text()) == document
    assert (tmp_path / "benchmarks.png").stat().st_size > 1000
    assert {"cpu", "cores", "gmpy2", "phe"} <= set(machine())


def test_the_table_shows_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 80 columns, whole: the widest names and figures of a full run."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    medians = {"sonar": 0.006, "phe": 4068.9, "sonar, its pool entry": 0.011, "peak MiB": 461.5}
    pool = {"phe": 1802.5}
    found = Result({"phe": 2878.4}, medians, note="how", missing=("sf-heu",), ratio_with_pool_entry=pool)
    out = io.StringIO()
    show(out, {"update_d1000_seconds": found.to_json()})
    row = next(line for line in out.getvalue().splitlines() if " phe " in line)
    assert row.split() == ["update_d1000_seconds", "phe", "4,068.9", "s", "2,878.4", "x", "1,802.5", "x"]
    for part in ("6.00 ms", "461.50 MiB", "how", "sf-heu is missing"):
        assert part in out.getvalue()


def test_noise_is_measured_against_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws: the paper's algorithm, and opendp's if it is there."""
    monkeypatch.setattr(sampler, "PEER_DRAWS", 100)
    found = sampler.privacy_sampler(True, draws=400)
    peers = {"reference code", "opendp"} if sampler.ready() else {"reference code"}
    assert {name.split(",")[0] for name in found["ratio"]} == peers
    assert found["missing"] == ([] if sampler.ready() else ["opendp"])
    assert len(found["figures"]) == len(sampler.DEVIATIONS) + len(sampler.VARIANCES)
    assert all(figure["holds"] for figure in found["figures"].values())


def test_without_peers_prices_are_compared_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "ENVIRONMENT", Path("/nowhere"))
    found = sampler.privacy_accounting()
    assert found["figures"] == {}
    assert found["missing"] == ["opendp", "dp-accounting"]


def test_an_attack_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "BOUNTIES", 2)
    monkeypatch.setattr(attack, "QUICK_TRIALS", 200)
    figures = attack.privacy_attack(True)["figures"]
    assert figures["right without noise"]["value"] == 1
    assert all(figure["holds"] for figure in figures.values())
