"""`sonar capsules`: who answers where the network's file says that a capsule is, and who took whose place."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.commands.options import NetworkOption, network_path
from sonar.telling.documents import CapsuleFound, CapsulesFound
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from sonar.home.capsules import Chain
    from sonar.home.settings import CapsuleConfig, NetworkConfig
    from sonar.manifests.capsule import Identity

TIMEOUT_S = 20.0
_MOST_BYTES = 1 << 16


def capsules(
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Take new accounts over, into the file and a mine's `trusted`; asks first."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: you have compared the accounts.")] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", metavar="FOLDER", help="A home, whose network.toml (and mine.toml) is meant."),
    ] = None,
    network: NetworkOption = None,
    json: JsonFlag = False,
) -> None:
    """Show who answers at the address of each capsule that a network lists.

    A capsule that took another account (`capsule rotate --account`) says so, signed by both accounts. With
    --follow the newest one takes the place of the listed one. Whoever has stolen the old key could also sign
    that, and answer in the capsule's place: ask its operator before you say yes.

    Exits with 1 if a capsule does not answer, or under another account than the file lists.

    Examples: `sonar capsules --network network.toml`, `sonar capsules --follow --home mine1`
    """
    from sonar.home.capsules import network_followed, replace, trusted_followed
    from sonar.home.settings import NetworkConfig

    path = home / "network.toml" if home is not None else network_path(network)
    config = NetworkConfig.load(path)
    found, chains = _found(config)
    changes: list[tuple[Path, str]] = []
    policy = path.parent / "mine.toml"
    if home is not None and policy.is_file() and (text := trusted_followed(policy, chains)) is not None:
        changes.append((policy, text))  # first: a file that lists the new account brings nobody back here
    if (text := network_followed(path, chains)) is not None:
        changes.append((path, text))
    written: list[str] = []
    if not json:
        _tell(found)
    if follow and changes and (yes or _agreed(chains, [path for path, _ in changes])):
        for place, text in changes:
            replace(place, text)
            written.append(str(place))
    _end(found, written, [str(path) for path, _ in changes], follow=follow, json=json)


def _end(
    found: list[CapsuleFound], written: list[str], behind: list[str], *, follow: bool, json: bool
) -> None:
    """Say what was written, or what is not up to date. Raises typer.Exit."""
    from sonar.telling.tables import print_text

    if json:
        print_json(CapsulesFound(found, written, [] if written else behind))
    elif written:
        print_text(
            f"written: {', '.join(written)}. Programs that run take it up when they are started again."
        )
    elif behind and not follow:
        print_text(f"not up to date: {', '.join(behind)}; `sonar capsules --follow` changes that")
    if any(one.problem for one in found) or (behind and not written):
        raise typer.Exit(1)


def _found(config: NetworkConfig) -> tuple[list[CapsuleFound], list[Chain]]:
    """Ask each capsule who it is; the chains are those that lead from a listed account, or to one."""
    from sonar.errors import SonarError
    from sonar.verifying.identity import former

    found, chains = [], []
    for one in config.capsules:
        answers, problem = "", ""
        try:
            told = _identity(one, config)
            answers, before = told.key.account, former(told)
            if one.account not in (*before, answers):
                problem = f"another account answers, which does not say that it followed {one.account}"
            elif before:
                chains.append((*before, told.key.account))
        except SonarError as error:
            problem = f"{error}"
        found.append(CapsuleFound(one.url, one.account, answers, problem))
    return found, chains


def _identity(one: CapsuleConfig, config: NetworkConfig) -> Identity:
    """Return who answers at a capsule's address. Raises CapsuleUnavailable, CapsuleFault, ManifestError."""
    import httpx

    from sonar.errors import CapsuleUnavailable
    from sonar.http import client
    from sonar.manifests.capsule import SignedAnswer
    from sonar.protocol.url import without_secrets
    from sonar.verifying.identity import identity_in

    where = httpx.URL(f"{one.url.rstrip('/')}/v1/identity")
    try:
        data = bytearray()
        with client(where, timeout=TIMEOUT_S) as http, http.stream("GET", where) as reply:
            for part in reply.iter_bytes(_MOST_BYTES):
                data += part
                if len(data) > _MOST_BYTES:
                    break
    except httpx.HTTPError as error:
        problem = f"{without_secrets(one.url)} does not answer: {error or type(error).__name__}"
        raise CapsuleUnavailable(problem, hint="is it running?") from error
    return identity_in(SignedAnswer.from_bytes(bytes(data)), config.chain_id, config.contract)


def _tell(found: Sequence[CapsuleFound]) -> None:
    from sonar.telling.tables import print_text

    if not found:
        print_text("the network lists no capsules")
    for one in found:
        print_text(f"{one.account} at {one.url}")
        state = "answers"
        if one.problem:
            state = f"FAIL: {one.problem}"
        elif one.answers != one.account:
            state = f"{one.answers} has taken its place, signed by both"
        print_text(f"    {state}", indent=4)


def _agreed(chains: Sequence[Chain], files: Sequence[Path]) -> bool:
    """Ask whether to take accounts over. Raises UsageError if nobody can be asked."""
    from sonar.errors import UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked here", hint="compare the accounts with the operators, then --yes"
        )
    lines = [f"{' was followed by '.join(chain)}" for chain in chains]
    shown = "\n".join(lines)
    return typer.confirm(f"{shown}\nHave their operators told you so? Write {', '.join(map(str, files))}?")
