"""Parties on one machine, for demonstrations: a home folder each, and started by name as a user would."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from sonar.errors import ConfigError, RemoteError
from sonar.home import keystore
from sonar.home.files import remedy
from sonar.home.keystore import write_private
from sonar.home.settings import CapsuleConfig, NetworkConfig
from sonar.processes.supervisor import Supervisor
from sonar.telling import documents
from sonar.telling.documents import CapsuleReady

T = TypeVar("T")

EXAMPLE = "diabetes"
ROWS_FOR_MINES = 400
ROWS_PER_MINE_MIN = 33
MAX_MINES = ROWS_FOR_MINES // ROWS_PER_MINE_MIN
"""A mine refuses to train 11 weights on fewer than 33 rows."""
MAX_CAPSULES = 7
"""As many as a committee takes."""
TELL_EACH_S = 5.0
LOADS_OF_CHAIN = "sonar.loads"
LOADS_OF_MINE, LOADS_OF_SCIENTIST, LOADS_OF_CAPSULE = "mine.loads", "pysonar.loads", "capsule.loads"
"""Modules that import what the programs need: see `Supervisor.load`."""


def mine_names(mines: int) -> list[str]:
    """Return the names of so many mines, in the order of their shards."""
    return [f"mine-{i:02d}" for i in range(1, mines + 1)]


def capsule_names(capsules: int) -> list[str]:
    """Return the names of so many capsules."""
    return [f"capsule-{i}" for i in range(1, capsules + 1)]


def prepare_home(home: Path) -> list[str]:
    """Make the folder and a password of its own, if they are not there; return every command's options.

    Raises ConfigError, KeyFileError.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{home} cannot be made: {error.strerror}"
        raise ConfigError("home", problem, hint=remedy(error, home)) from error
    password = home / keystore.BESIDE
    if not password.exists():
        write_private(password, f"{secrets.token_urlsafe(24)}\n".encode())
    return ["--home", str(home), "--password-file", str(password), "--json"]


def mine_init(home: Path, network: Path, shard: str, *options: str) -> list[str]:
    """The command that makes a mine's home, with a part of the example such as "3/10", and prints it."""
    init = ["mine", "init", *prepare_home(home), "--network", str(network), "--dev"]
    return [*init, "--example", EXAMPLE, "--shard", shard, *options]


def mine_at_work(home: Path) -> list[str]:
    """The command of a home's mine: it joins every bounty that its data fit, and withdraws its pay."""
    return ["mine", "run", *prepare_home(home), "--join-all", "--claim"]


def capsule_init(home: Path, network: Path) -> list[str]:
    """The command that makes a capsule's home, and prints it."""
    return ["capsule", "init", *prepare_home(home), "--network", str(network), "--dev"]


def capsule_at_work(home: Path, url: str = "") -> list[str]:
    """The command of a home's capsule: it serves where it did before, its `url`, or at any free port."""
    return ["capsule", "run", *prepare_home(home), "--listen", urlsplit(url).netloc or "127.0.0.1:0"]


def list_capsules(network: Path, homes: Iterable[Path], capsules: Iterable[CapsuleReady]) -> NetworkConfig:
    """List capsules in the network's file, and in the copies that homes have taken over already.

    Returns the network as it is listed now. Raises ConfigError.
    """
    listed = tuple(CapsuleConfig(url=one.url, account=one.address) for one in capsules)
    config = NetworkConfig.load(network).model_copy(update={"capsules": listed})
    for file in (network, *(home / network.name for home in homes)):
        config.save(file)
    return config


def ready(
    supervisor: Supervisor,
    kind: Callable[..., T],
    parties: Sequence[str],
    tell: Callable[[str], None],
    look: Callable[[], object],
) -> Iterator[tuple[str, T]]:
    """Yield what each party prints when it is ready, in the order of being ready.

    Waits as long as they live and make progress. While none tells anything, `look` is called, which
    raises if one has ended, and `tell` is told how many are ready. Raises WaitTimeout for one that hangs.
    """
    left, told_s, others = list(parties), time.monotonic(), []
    while left:
        line = supervisor.next_line()
        if line is None:
            look()
            supervisor.require_movement(left)
            if time.monotonic() - told_s >= TELL_EACH_S:
                told_s = time.monotonic()
                tell(f"{len(parties) - len(left)} of {len(parties)} are ready; waiting for {_named(left)}")
        elif line.party in left and (document := told(kind, line.text)) is not None:
            left.remove(line.party)
            yield line.party, document
        else:
            others.append(line)
    while (line := supervisor.next_line(0)) is not None:
        others.append(line)
    for line in others:  # whoever reads on finds what some told while others were not ready
        supervisor.lines.put(line)


def _named(parties: Sequence[str]) -> str:
    more = f" and {len(parties) - 3} more" if len(parties) > 3 else ""
    return ", ".join(parties[:3]) + more


def told(kind: Callable[..., T], text: str | None) -> T | None:
    """Return the document of this kind that a line of a party's output is; None if it is something else."""
    try:
        return documents.read(kind, text or "")
    except RemoteError:
        return None
