"""A party's work, before which a key of its own is changed, by a command that is killed in the middle.

Usage: python -m tests.e2e.changing_keys HOME SEED TIMES CHANGE ... -- WORK ...: two commands, as `python -m`
takes them. Nothing is changed before the party has joined or posted a bounty, nor after TIMES changes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.home.accounts import current_in
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig
from sonar.processes import die_with_parent

LOG = "changes.json"
"""In the home: a line for each change, whether its command was killed, and after how many seconds."""
_LONGEST_S = 0.9  # on an idle machine a change takes about a second
_WEI = 100 * 10**18


def changes(home: Path) -> list[dict[str, float]]:
    """Every change that was begun in a home."""
    file = home / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def has_begun(home: Path) -> bool:
    """Tell whether a party has joined a bounty, or posted one."""
    file = home / "journal.sqlite"
    if not file.exists():
        return False
    with Journal(file) as journal:
        posted = [key for key, _ in journal.items("campaign/") if key.endswith("/posted")]
        return bool(posted or journal.items("joined/"))


def change(command: list[str], after_s: float) -> bool:
    """Run the command, kill it after a while, and run it again to its end; tell whether it was killed."""
    first = start(command)
    try:
        first.wait(after_s)
    except subprocess.TimeoutExpired:
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = start(command)
        assert second.wait() == 0, f"{command} ended with {second.returncode}"
        return True
    assert first.returncode == 0, f"{command} ended with {first.returncode}"
    return False


def give(home: Path) -> None:
    """See to it that the current account has ether, as a new one has none."""
    current = current_in(home / "keystore", home / "journal.sqlite")
    network = NetworkConfig.load(home / "network.toml")
    if Market.connect(network).ether(current) < _WEI // 100:
        fund(network, current, _WEI)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,
    )


def main(home: Path, seed: int, times: int, rest: list[str]) -> None:
    place = rest.index("--")
    command, work = rest[:place], rest[place + 1 :]
    done = changes(home)
    if has_begun(home) and len(done) < times:
        after_s = random.Random(seed + len(done)).uniform(0.1, _LONGEST_S)
        give(home)  # this process may have been killed between the last change and the gift after it
        killed = change(command, after_s)
        give(home)
        with (home / LOG).open("a") as log:
            log.write(json.dumps({"killed": killed, "after_s": after_s}) + "\n")
    os.execv(sys.executable, [sys.executable, "-m", *work])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
