"""Keys that change in the middle of a campaign, by commands that are killed in the middle.

At each instant a party is killed with -9, its key is changed by a command that is killed with -9 too and run
again, and the party goes on. `make chaos-keys` takes twenty instants of each kind, `make test` a few. Every
campaign ends as if nothing had happened: the same losses to the last bit, and no stake is lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sonar.demo import launch
from sonar.demo.conduct import RESTARTS_MAX, Conductor
from sonar.demo.launch import Settings
from sonar.demo.report import Report
from sonar.home import keystore
from sonar.home.accounts import accounts_in
from sonar.home.journal import Journal
from sonar.localchain.anvil import find
from sonar.protocol.ids import Address, parse_address
from tests.e2e.changing_keys import changes, has_begun
from tests.e2e.kit import Killer, QuietView
from tests.e2e.test_chaos import check_the_same

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find() is None, reason="Anvil is not installed"),
]
INSTANTS = int(os.environ.get("SONAR_KEYS_CHAOS", "1"))
MINES, ROUNDS = 3, 15
AtWork = Callable[..., list[str]]
ACCOUNTS = {
    "mine-02": ["mine", "rotate", "--again"],
    "pysonar": ["pysonar", "rotate", "--account", "--again"],
}


@pytest.mark.parametrize("party", ACCOUNTS)
def test_an_account_changes_in_the_middle_of_a_campaign(
    party: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, instants, run = 0, 0, 0
    real = launch.party_at_work
    while instants < INSTANTS:
        run += 1
        assert run <= 3 + INSTANTS, f"only {instants} changes in {run - 1} runs"
        settings = Settings(tmp_path / str(run), mines=MINES, rounds=ROUNDS, chain="anvil", capsules=0)
        home = settings.home / party
        monkeypatch.setattr(
            launch, "party_at_work", changing(real, party, home, seed=1000 * run, times=INSTANTS - instants)
        )
        conductor = Conductor(settings, QuietView())
        kills = min(3 * (INSTANTS - instants), RESTARTS_MAX - 1)
        killer = Killer(conductor, party, seed=100 * run + len(party), limit=kills)
        when_begun(killer, home)
        try:
            report = conductor.run()
        finally:
            killer.stop()
        done = changes(home)
        instants, killed = instants + len(done), killed + sum(bool(one["killed"]) for one in done)
        print([(row.round, row.loss, len(row.cohort), row.left_out) for row in report.rounds], done)
        check_the_same(report, len(done), ROUNDS)
        check_accounts(home, conductor.record.addresses[party], len(done), report)
    print(f"{party}: {instants} changes, {killed} killed in the middle, in {run} runs")
    assert killed > 0


def when_begun(killer: Killer, home: Path) -> None:
    """Let it begin when the party has joined or posted the bounty: before that no key is in use."""

    def wait() -> None:
        while not killer._stop.wait(0.1):
            if has_begun(home):
                killer.start()
                return

    threading.Thread(target=wait, daemon=True).start()


def changing(real: AtWork, party: str, home: Path, *, seed: int, times: int) -> AtWork:
    """The work of a party, before which its key is changed when it is started again."""

    def at_work(settings: Settings, asked: str, url: str = "") -> list[str]:
        work = real(settings, asked, url)
        if asked != party:
            return work
        options = ["--home", str(home), "--password-file", str(home / "password"), "--json"]
        change = [*ACCOUNTS[party], *options]
        return ["tests.e2e.changing_keys", str(home), str(seed), str(times), *change, "--", *work]

    return at_work


def check_accounts(home: Path, first: Address, count: int, report: Report) -> None:
    """The campaign ended under the account that began it, which is one of the home's, and all are kept."""
    with Journal(home / "journal.sqlite") as journal:
        accounts = accounts_in(home / "keystore", journal)
    assert accounts.successor is None
    assert accounts.used[0] == first
    assert len(accounts.used) >= 1 + count
    assert set(keystore.addresses(home / "keystore")) >= set(accounts.used)
    took_part = {parse_address(report.scientist), *(row.address for row in report.mines)}
    assert len(took_part) == 1 + MINES
    assert len(took_part & set(accounts.used)) == 1
