"""kill -9 of a mine and of the scientist at seeded instants, and cheats among honest processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.demo import launch
from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.demo.report import MineRow, Report
from sonar.processes.supervisor import Supervisor
from tests.e2e.clear import rounded_losses
from tests.e2e.kit import Killer, QuietView, has_anvil

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
CHAIN = "anvil" if has_anvil() else "eth-tester"
LENGTHS = [(4, 5), pytest.param(20, 15, marks=pytest.mark.deep)]
"""At how many instants, and rounds: long enough for most of the instants to fall into one run."""


@pytest.mark.parametrize("party", ["mine-02", "pysonar"])
@pytest.mark.parametrize(("limit", "rounds"), LENGTHS)
def test_killed_at_many_instants_the_campaign_ends_the_same(
    party: str, limit: int, rounds: int, tmp_path: Path
) -> None:
    instants, run = 0, 0
    while instants < limit:
        run += 1
        assert run <= 6, f"only {instants} kills in {run - 1} runs"
        settings = Settings(tmp_path / str(run), mines=3, rounds=rounds, chain=CHAIN)
        conductor = Conductor(settings, QuietView())
        killer = Killer(conductor, party, seed=1000 * run + len(party), limit=limit - instants)
        killer.start()
        try:
            report = conductor.run()
        finally:
            killer.stop()
        instants += len(killer.kills)
        check_the_same(report, len(killer.kills), rounds)


def check_the_same(report: Report, kills: int, rounds: int) -> None:
    losses = [report.initial_loss, *(r.loss for r in report.rounds)]
    assert len(losses) == rounds + 1
    assert losses == rounded_losses(3, rounds), f"after {kills} kills"
    assert report.paid_wei + report.refunded_wei == report.escrow_wei
    assert report.held_wei == report.contract_balance_wei == 0
    assert all(len(r.cohort) == 3 and not r.left_out for r in report.rounds)
    assert all(m.forfeits_wei == 0 for m in report.mines)


@pytest.mark.skipif(CHAIN != "anvil", reason="only Anvil's chain outlives its process")
@pytest.mark.parametrize(("kills", "rounds"), [(1, 5), pytest.param(4, 15, marks=pytest.mark.deep)])
def test_a_campaign_goes_on_when_its_chain_is_killed(
    kills: int, rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kill takes the newest blocks back, with transactions that were believed."""

    def start_chain(settings: Settings, supervisor: Supervisor) -> None:
        home = str(settings.home / launch.CHAIN)
        args = ["chain", "--home", home, "--store", str(settings.home / "store"), "--client", CHAIN, "--json"]
        supervisor.start(launch.CHAIN, ["tests.e2e.chain_that_is_killed", "7", str(kills), home, *args])

    monkeypatch.setattr(launch, "start_chain", start_chain)
    settings = Settings(tmp_path / "home", mines=3, rounds=rounds, chain=CHAIN)
    report = Conductor(settings, QuietView()).run()
    log = (settings.home / "logs" / f"{launch.CHAIN}.log").read_text()
    assert log.count("killed with") == kills
    check_the_same(report, kills, rounds)


CHEATS = {"mine-03": "random", "mine-06": "minus-three-late", "mine-09": "withholds"}


def test_three_cheats_among_ten_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = launch.party_at_work

    def party_at_work(settings: Settings, party: str, url: str = "") -> list[str]:
        if party not in CHEATS:
            return real(settings, party, url)
        home = settings.home / party
        options = ["--home", str(home), "--password-file", str(home / "password")]
        return ["tests.e2e.hostile_process", *options, "--attack", CHEATS[party]]

    monkeypatch.setattr(launch, "party_at_work", party_at_work)
    # A blob that is withheld is waited for half of this: of 180 s, without it.
    monkeypatch.setattr(launch, "_BOUNTY", f"settle_window_s = 60\n{launch._BOUNTY}")
    rounds = 5  # one more than the late cheat waits for
    report = Conductor(Settings(tmp_path / "home", rounds=rounds, chain=CHAIN), QuietView()).run()

    mines = {m.name: m for m in report.mines}
    reasons: dict[str, str] = {m.address: m.name for m in report.mines}
    for cheat in ("mine-03", "mine-09"):
        assert mines[cheat].fees_wei == mines[cheat].rewards_wei == 0
    late = [
        r.shares_bps[r.cohort.index(mines["mine-06"].address)]
        for r in report.rounds
        if mines["mine-06"].address in r.cohort and r.round >= 4
    ]
    assert late
    assert not any(late)
    left_out = {reasons[address] for r in report.rounds for address in r.left_out}
    assert left_out == set(CHEATS)
    without = min(rounded_losses(10, rounds, absent={2, 5, 8}))
    assert report.final_loss <= 1.05 * without
    assert report.contract_balance_wei == sum(unclaimed_wei(mines[cheat]) for cheat in CHEATS)


def unclaimed_wei(mine: MineRow) -> int:
    credited = mine.fees_wei + mine.rewards_wei + mine.stakes_back_wei + mine.forfeits_wei
    return credited - mine.withdrawn_wei
