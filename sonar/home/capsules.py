"""A capsule's new account, taken over into a network's file, and into the capsules that a mine trusts.

A chain is the accounts of one capsule, oldest first; the last is the one that new bounties name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from sonar.errors import ConfigError
from sonar.home.files import expanded, read_bytes, read_text, remedy
from sonar.home.settings import MAX_FILE_BYTES, NetworkConfig, parse_toml
from sonar.protocol.ids import Address

Chain = tuple[Address, ...]
MINE_FILE = "mine.toml"


def network_followed(path: Path, chains: Sequence[Chain]) -> str | None:
    """Return a network's file that lists the newest accounts, and the former ones as such.

    None if it does already. Comments at its top stay, others do not. Raises ConfigError.
    """
    path = expanded(path, "network")
    text = read_text(path, "network", MAX_FILE_BYTES)
    fields = parse_toml(text.encode(), str(path))
    before = NetworkConfig.checked(path, fields).capsules
    for entry, one in zip(fields.get("capsules", []), before, strict=True):
        chain = next((chain for chain in chains if one.account in chain[:-1]), None)
        if chain is not None:
            former = chain[chain.index(one.account) : -1]
            entry |= {"account": chain[-1], "formerly": [*one.formerly, *former]}
    if NetworkConfig.checked(path, fields).capsules == before:
        return None
    head = re.match(r"(?:[ \t]*#[^\n]*\n|\n)*", text)
    return f"{head[0] if head else ''}{tomli_w.dumps(fields)}"


def trusted_followed(path: Path, chains: Sequence[Chain]) -> str | None:
    """Return a mine's policy that trusts the newest accounts where it names former ones; None if none.

    Nothing but those accounts changes. Raises ConfigError where they cannot be found as text.
    """
    text = read_bytes(path, MINE_FILE).decode()
    now = _trusted(path, text)
    wanted = [_newest(one, chains) for one in now]
    if wanted == now:
        return None
    lines = [_changed(line, chains) for line in text.split("\n")]
    if _trusted(path, changed := "\n".join(lines)) != wanted:
        raise ConfigError(
            f"trusted in {path}",
            f"names accounts that have handed over; {', '.join(wanted)} should stand there",
            hint="change the line by hand",
        )
    return changed


def replace(path: Path, text: str) -> None:
    """Replace a file as a whole, its mode kept. Raises ConfigError."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_bytes(text.encode())
        temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        problem = f"{path} cannot be written: {error.strerror}"
        raise ConfigError(path.name, problem, hint=remedy(error, path)) from error


def _trusted(path: Path, text: str) -> list[str]:
    table: Any = parse_toml(text.encode(), str(path)).get("capsules", {})
    named = table.get("trusted", []) if isinstance(table, dict) else []
    return [str(one) for one in named] if isinstance(named, list) else []


def _newest(account: str, chains: Sequence[Chain]) -> str:
    same = (chain[-1] for chain in chains if account.lower() in [one.lower() for one in chain[:-1]])
    return next(same, account)


def _changed(line: str, chains: Sequence[Chain]) -> str:
    if line.lstrip().startswith("#"):
        return line
    return re.sub(r"0x[0-9a-fA-F]{40}", lambda found: _newest(found[0], chains), line)
