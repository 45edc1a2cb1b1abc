"""Commands about Paillier keys: made before a bounty runs, changed while it runs, removed after it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pysonar.options import HomeOption, NameArgument
from sonar.errors import UsageError
from sonar.telling.again import with_home
from sonar.telling.options import AgainFlag, LaterFlag, ToOption, ToPasswordOption
from sonar.telling.terminal import JsonFlag, PasswordFileOption, new_app, print_json, sink_for

key_app = new_app("Paillier keys. A bounty without one gets its own when it is first run.")


@key_app.command("new")
def key_new(
    name: Annotated[str, typer.Argument(help="The name of the bounty that the key is for.")],
    bits: Annotated[
        int,
        typer.Option("--bits", help="As key_bits in the bounty's file: 2048, 3072 or more."),
    ] = 3072,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a bounty's key before its first run. It is encrypted with the keystore's password.

    Example: `pysonar key new diabetes --bits 3072`
    """
    from pysonar.bounty.settings import check_key
    from pysonar.show.documents import KeyMade
    from pysonar.wiring import locked

    check_key(name, bits)
    with locked(home, sink_for(as_json)) as scientist:
        password = scientist.password(password_file)
        scientist.unlock(password)  # a key under another is lost easily
        key = scientist.make_key(name, bits, password)
        path = scientist.key_path(name)
    fingerprint = key.public.fingerprint.hex()
    if as_json:
        print_json(KeyMade(str(path), key.public.bits, fingerprint))
    else:
        typer.echo(f"key      {path}\nbits     {key.public.bits}\nprint    {fingerprint}")
        typer.echo(
            "keep a copy of the key and of its ledger beside it: without them the bounty cannot continue"
        )


@key_app.command("remove")
def key_remove(
    name: NameArgument = "",
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove all keys of a bounty that is closed, so that nobody who finds them can open what its mines sent.

    Models, payments and the ledger of what the keys gave away stay: `pysonar status` and `predict` need no
    key. Copies that you made elsewhere are yours to remove.

    Example: `pysonar key remove diabetes`
    """
    from pysonar.rotating import remove
    from pysonar.wiring import locked

    with locked(home, sink_for(as_json)) as scientist:
        name = scientist.started(name).settings.name
        if not (as_json or yes) and not typer.confirm(f"Remove the keys of {name} for good?"):
            raise UsageError("nothing was removed", hint="run the same command again")
        done = remove(scientist, name)
    if as_json:
        print_json(done)
    else:
        typer.echo("\n".join(f"removed {path}" for path in done.removed) or "no key is left")


def rotate(
    name: NameArgument = "",
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="A key file that was made elsewhere, under this home's password, in place of a new key.",
        ),
    ] = None,
    account: Annotated[
        bool, typer.Option("--account", help="Change the scientist's account, not a bounty's key.")
    ] = False,
    to: ToOption = None,
    to_password_file: ToPasswordOption = None,
    later: LaterFlag = False,
    again: AgainFlag = False,
    move: Annotated[
        bool,
        typer.Option(
            "--move", help="With --account: send on the ether of former accounts that have ended all."
        ),
    ] = False,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the Paillier key of a bounty, also while `pysonar run` is at work on it.

    It asks for the change, and returns. The bounty takes the new key at the next boundary of rounds: when a
    round is settled with a new model, this is encrypted under the new key, and mines answer under it. A round
    that fails, or in which nothing is learnt, changes nothing yet. Scores and payments go on as they would
    have. The old key opens what was sent under it until the bounty closes, so keep it; then `pysonar key
    remove` removes them all. Running this again before the new key counts changes nothing. `pysonar status`
    shows which key has which rounds.

    If a key has leaked, see docs/keys.md: what was sent under it stays readable to whoever has it.

    With --account a successor takes the place of the scientist's account, which both sign, once and for ever.
    Bounties that are posted end under the old account; the next one is posted by the successor. Stop
    `pysonar run` for this; `pysonar resume` goes on. You can kill it at any time, and run it again.

    Examples: `pysonar rotate diabetes`, `pysonar rotate --account`
    """
    if account:
        if name or key:
            raise UsageError("an account is not a bounty's", hint="leave out the name and --key")
        chosen = (to, to_password_file, later, again, move)
        _rotate_account(*chosen, home, password_file, as_json=as_json)
        return
    if to or to_password_file or later or again or move:
        raise UsageError("these options change the account", hint="give --account too")
    _rotate_key(name, key, home, password_file, as_json=as_json)


def _rotate_key(
    name: str, key: Path | None, home: Path | None, password_file: Path | None, *, as_json: bool
) -> None:
    """Ask for another Paillier key of a bounty."""
    from pysonar import rotating
    from pysonar.wiring import open_scientist
    from sonar.telling.progress import NullSink

    scientist = open_scientist(home, NullSink() if as_json else sink_for(as_json))
    try:
        name = scientist.started(name).settings.name
        password = scientist.password(password_file)
        scientist.unlock(password)  # a key under another is lost easily
        done = rotating.rotate(scientist, name, password, key)
    finally:
        scientist.close()
    if as_json:
        print_json(done)
        return
    typer.echo(f"key      {done.path}\nbits     {done.bits}\nprint    {done.fingerprint}")
    asked = "was asked for before" if done.again else "is asked for"
    then = f"it {asked}, and counts from round {done.from_round} on, or the first later one with a new model"
    typer.echo(then if done.from_round > 1 else f"it {asked}: the bounty is posted with it")
    typer.echo(
        with_home("keep a copy of the folder of the keys; `pysonar status` shows which key has which rounds")
    )


def _rotate_account(
    to: Path | None,
    to_password_file: Path | None,
    later: bool,
    again: bool,
    move: bool,
    home: Path | None,
    password_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Change the scientist's account, or move what former ones have."""
    from pysonar import accounts
    from pysonar.wiring import locked
    from sonar.accounts import print_changed
    from sonar.telling.amounts import format_wei

    command = "pysonar rotate --account"
    with locked(home, sink_for(as_json)) as scientist:
        if move:
            moved_wei = accounts.move(scientist, password_file)
            told = f"moved {format_wei(moved_wei)} to {scientist.address}"
            nothing = "nothing to move: a former account keeps what it has until its bounties are closed"
            scientist.progress.note(told if moved_wei else nothing)
            return
        document = accounts.change(scientist, to, password_file, to_password_file, later=later, again=again)
    if as_json:
        print_json(document)
    else:
        print_changed(document, command, f"{command} --move")
