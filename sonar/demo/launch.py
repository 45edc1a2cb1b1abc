"""The demo's parties: what is started, with which command, in which folder. By name, as a user would."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonar.demo.view import SCIENTIST
from sonar.home.parties import (
    LOADS_OF_CAPSULE,
    LOADS_OF_CHAIN,
    LOADS_OF_MINE,
    LOADS_OF_SCIENTIST,
    capsule_at_work,
    capsule_init,
    capsule_names,
    mine_at_work,
    mine_init,
    mine_names,
    prepare_home,
)
from sonar.processes.supervisor import Child, Supervisor

CHAIN, LOGS = "chain", "logs"
CAPSULES = 3
_FIRST_LOADS = {True: [LOADS_OF_CAPSULE], False: [LOADS_OF_MINE, LOADS_OF_SCIENTIST]}
"""What loads while the chain starts, by whether there are capsules, which begin before the others."""

_BOUNTY = """\
# The demo's bounty; run it again with `pysonar run`, or change it first.
name = "diabetes"
rounds = {rounds}
patience = 0  # all of them, though a bounty ends by itself when nothing gets better
cohort = {mines}
min_mines = {min_mines}
key_bits = {key_bits}
insecure_key = {insecure}
stake = "0.05 ether"
fee = "0.01 ether"
reward = "5 ether"

[holdout]
example = "diabetes"
rows = 42
"""
_CAPSULES = """\

# Who takes the masks off: any two of the network's capsules together, and only off a sum.
[capsules]
threshold = {threshold}
"""
_PRIVACY = """\

# Each mine adds noise to its sums once: what is learned of a row, by whoever, is at most this.
[privacy]
epsilon = {epsilon!r}
noise = "{noise}"
"""


@dataclass(frozen=True)
class Settings:
    """The user's choices. `epsilon`: what a release costs, all of each mine's budget; None for no noise."""

    home: Path
    mines: int = 10
    rounds: int = 7
    key_bits: int = 2048
    chain: str = "auto"
    insecure: bool = False
    capsules: int = CAPSULES
    epsilon: float | None = None
    noise: str = "local"

    @property
    def network(self) -> Path:
        """The network file that the chain's process writes."""
        return self.home / CHAIN / "network.toml"

    @property
    def min_mines(self) -> int:
        """The smallest cohort whose aggregate may be decrypted: half of the mines."""
        return max(2, (self.mines + 1) // 2)

    @property
    def threshold(self) -> int:
        """How many capsules it takes to open a sum: more than half."""
        return self.capsules // 2 + 1

    def capsule_names(self) -> list[str]:
        """The capsules' names."""
        return capsule_names(self.capsules)

    def parties(self) -> list[str]:
        """The mines' names, in the order of their shards."""
        return mine_names(self.mines)


def supervise(settings: Settings) -> Supervisor:
    """Return who starts the demo's processes, and ends them. Until the chain is, its program loads."""
    supervisor = Supervisor(settings.home / LOGS)
    supervisor.load(LOADS_OF_CHAIN)
    return supervisor


def start_chain(settings: Settings, supervisor: Supervisor) -> None:
    """Start the chain; it deploys the contract and writes the network file."""
    home, store = str(settings.home / CHAIN), str(settings.home / "store")
    args = ["chain", "--home", home, "--store", store, "--client", settings.chain, "--json"]
    supervisor.start(CHAIN, ["sonar", *args])
    supervisor.load(*_FIRST_LOADS[settings.capsules > 0])


def start_parties(settings: Settings, supervisor: Supervisor) -> None:
    """Start every party; capsules begin while the others' programs load."""
    for capsule in settings.capsule_names():
        start_party(settings, supervisor, capsule)
    if settings.capsules:
        supervisor.load(*_FIRST_LOADS[False])
    for party in (SCIENTIST, *settings.parties()):
        start_party(settings, supervisor, party)


def start_party(settings: Settings, supervisor: Supervisor, party: str) -> Child:
    """Start a party: it makes its home, with a keystore of its own under a password of its own, and a mine's
    own shard; tells its address; and when it is let go on, does its work.
    """
    home, work = settings.home / party, party_at_work(settings, party)
    if party in settings.capsule_names():
        init = capsule_init(home, settings.network)
    elif party == SCIENTIST:
        _write_bounty(settings)
        init = ["pysonar", "init", *prepare_home(home), "--network", str(settings.network), "--dev"]
    else:
        shard = f"{settings.parties().index(party) + 1}/{settings.mines}"
        insecure = ["--insecure-keys"] if settings.insecure else []
        budget = [] if settings.epsilon is None else ["--epsilon", repr(settings.epsilon)]
        init = mine_init(home, settings.network, shard, *insecure, *budget)
    return supervisor.start(party, init, work)


def party_at_work(settings: Settings, party: str, url: str = "") -> list[str]:
    """The command of a party's real work, from its home: what it is started with again after a kill.

    `url`: where a capsule is expected, once the others know it.
    """
    home = settings.home / party
    if party in settings.capsule_names():
        return capsule_at_work(home, url)
    if party != SCIENTIST:
        return [*mine_at_work(home), "--exit-when-done"]
    return ["pysonar", "run", str(home / "bounty.toml"), *prepare_home(home), "--yes"]


def next_commands(settings: Settings, client: str, bounty: str) -> Sequence[tuple[str, str]]:
    """Commands to try on the kept folder, and what each is for. Only Anvil can continue where it was."""
    home, first, bin_dir = settings.home, settings.parties()[0], _bin_dir()

    def at(*parts: str) -> str:
        return shlex.quote(str(home.joinpath(*parts)))

    offline = (
        (f"{bin_dir}pysonar status --home {at(SCIENTIST)}", "the campaign, round by round"),
        (
            f"{bin_dir}pysonar explain {at(SCIENTIST, 'bounty.toml')} --home {at(SCIENTIST)}",
            "what that bounty costs and reveals",
        ),
        (f"{bin_dir}mine status --home {at(first)}", "what one mine did and what it revealed"),
        *_of_budgets(settings, f"{bin_dir}mine privacy --home {at(first)}", at("privacy.png")),
        *(
            (f"{bin_dir}capsule status --home {at(name)}", "what one capsule told")
            for name in settings.capsule_names()[:1]
        ),
    )
    if client != "anvil":
        return offline
    network = shlex.quote(str(settings.network))
    chain = f"{bin_dir}sonar chain --home {at(CHAIN)} --store {at('store')}"
    return (
        *offline,
        (chain, "the chain again, as it was (keep it running in another terminal); with it:"),
        (f"{bin_dir}mine earnings --home {at(first)}", "what that mine earned, from the chain's record"),
        (f"{bin_dir}sonar status --network {network}", "every bounty on this chain"),
        (
            f"{bin_dir}sonar verify {bounty[:10]} --network {network}",
            "whether chain and store agree about this bounty, for anybody who asks",
        ),
    )


def _of_budgets(settings: Settings, command: str, picture: str) -> Sequence[tuple[str, str]]:
    if settings.epsilon is None:
        return ()
    return (
        (f"{command} --plot {picture}", "what that mine's data have told, and what is left; with a picture"),
    )


def _bin_dir() -> str:
    """Where this environment's programs are, as short as it can be written from here."""
    folder = Path(sys.executable).parent
    try:
        return shlex.quote(f"{folder.relative_to(Path.cwd())}/")
    except ValueError:
        return shlex.quote(f"{folder}/")


def _write_bounty(settings: Settings) -> None:
    text = _BOUNTY.format(
        rounds=settings.rounds,
        mines=settings.mines,
        min_mines=settings.min_mines,
        key_bits=settings.key_bits,
        insecure=str(settings.insecure).lower(),
    )
    if settings.capsules:
        text += _CAPSULES.format(threshold=settings.threshold)
    if settings.epsilon is not None:
        text += _PRIVACY.format(epsilon=float(settings.epsilon), noise=settings.noise)
    (settings.home / SCIENTIST / "bounty.toml").write_text(text)
