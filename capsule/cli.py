"""The command line of a capsule. Every help text has an example; heavy parts load where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.errors import UsageError
from sonar.telling.again import with_home
from sonar.telling.options import BountyArgument, DevFlag, NetworkFileOption, home_option
from sonar.telling.terminal import (
    JsonFlag,
    NewPasswordFileOption,
    PasswordFileOption,
    WideFlag,
    new_app,
    print_json,
    print_ready,
    run_app,
    sink_for,
    told_when_stopped,
)

if TYPE_CHECKING:
    from capsule.wiring import Capsule

app = new_app(
    """Help to open sums of masked updates. A capsule never sees a mine's data, nor an update without masks.

    First steps: `capsule init --network network.toml --url https://capsule.example`, `capsule doctor`,
    `capsule run`.
    """,
    "capsule",
)

HomeOption = Annotated[Path | None, home_option("capsule")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_app(app, "capsule", argv)


@app.command()
def init(
    network: NetworkFileOption = None,
    url: Annotated[
        str, typer.Option("--url", help="Where scientists will reach the capsule, for the network's file.")
    ] = "",
    home: HomeOption = None,
    dev: DevFlag = False,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the capsule's home folder, with a new account, a key for envelopes, and a policy file.

    Running it again changes nothing that exists; with --network it takes over the new network file. An
    account needs no ether: a capsule sends no transactions.

    Example: `capsule init --network network.toml --url https://capsule.example`
    """
    from capsule import setup
    from capsule.wiring import open_capsule
    from sonar.telling.documents import PartyReady
    from sonar.telling.tables import print_text

    path = setup.make_home(home, network, url, dev=dev, password_file=password_file)
    capsule = open_capsule(path, sink_for(as_json))
    following = with_home(setup.following(capsule))
    print_ready(PartyReady(capsule.address, str(path), capsule.network.name, following), as_json)
    if not as_json and (lines := setup.identity_lines(capsule)):
        print_text(f"whoever runs the network adds to its file:\n\n{lines}")


@app.command()
def run(
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 is any free one."),
    ] = None,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve until Ctrl-C. You can kill it at any time; it continues when started again.

    It speaks HTTP without TLS: put it behind a proxy that has a certificate, unless it is near.

    Examples: `capsule run`, `capsule run --listen 127.0.0.1:0 --json`
    """
    with told_when_stopped("capsule run", as_json):
        from capsule.running import serve
        from capsule.wiring import locked

        with locked(home, sink_for(as_json)) as capsule:
            serve(capsule, password_file, listen, as_json=as_json)


@app.command()
def status(home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False) -> None:
    """Show what the capsule told so far: bounties, bits, sums, and what it refused.

    Example: `capsule status`
    """
    from capsule.show import printing, views

    document = views.status(_open(home, as_json))
    if as_json:
        print_json(document)
    else:
        printing.print_status(document, wide=wide)


@app.command()
def doctor(
    home: HomeOption = None, password_file: PasswordFileOption = None, as_json: JsonFlag = False
) -> None:
    """Check everything a capsule needs, from its keys to its address. Exits with 1 if something is wrong.

    Example: `capsule doctor`
    """
    from capsule.show.doctor import examine
    from sonar.telling.checks import examination

    found = examination(examine(_open(home, as_json), password_file), tell=not as_json)
    if as_json:
        print_json(found)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def rotate(
    delete: Annotated[
        int | None,
        typer.Option(
            "--delete",
            metavar="EPOCH",
            min=1,
            help="Begin no epoch, but delete the key of this old one now, unless open bounties need it.",
        ),
    ] = None,
    account: Annotated[
        bool,
        typer.Option(
            "--account",
            help="Take another account for new bounties. Stop `capsule run` first.",
        ),
    ] = False,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Begin a new epoch: new bounties name a new key. `capsule run` may go on, and takes it up at once.

    Old keys serve the bounties that name them until those are closed; then they are deleted, and nobody can
    ever open what was sealed for them. Deleting is what makes seeds go away: rotate now and then.

    Examples: `capsule rotate`, `capsule rotate --delete 1`, `capsule rotate --account`
    """
    from capsule import setup
    from capsule.show.printing import print_rotated, print_succeeded
    from capsule.wiring import beside, locked

    if account and delete is not None:
        raise UsageError("--account and --delete are two things", hint="one command for each")
    if account:
        with locked(home, sink_for(as_json)) as capsule:
            succeeded = setup.succeed(capsule, password_file)
        print_json(succeeded) if as_json else print_succeeded(succeeded)
        return
    with beside(home, sink_for(as_json)) as (capsule, alone):
        if delete is not None:
            document = setup.delete(capsule, delete, alone=alone)
        else:
            document = setup.rotate(capsule, password_file, alone=alone)
    if as_json:
        print_json(document)
    else:
        print_rotated(document, begun=delete is None)


@app.command()
def password(
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    new_password_file: NewPasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the password of the home's keystore, all at once or not at all.

    Stop what runs in the home first. A command that was killed can be given again.

    Example: `capsule password --password-file old --new-password-file new`
    """
    from capsule.wiring import locked
    from sonar.home.password import told
    from sonar.telling.tables import print_text

    with locked(home, sink_for(as_json)) as party:
        document = party.change_password(password_file, new_password_file)
    if as_json:
        print_json(document)
    else:
        print_text(told(document))


@app.command()
def audit(
    bounty: BountyArgument,
    again: Annotated[
        bool, typer.Option("--again", help="Recompute each settlement that it signed, from chain and store.")
    ] = False,
    home: HomeOption = None,
    wide: WideFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show everything that the capsule signed about a bounty, and the bits that it told of each mine.

    Example: `capsule audit 0x3fd1 --again`
    """
    from capsule.show import printing, views

    document = views.signed(_open(home, as_json), bounty, again=again)
    if as_json:
        print_json(document)
    else:
        printing.print_signed(document, wide=wide)


def _open(home: Path | None, as_json: bool) -> Capsule:
    from capsule.wiring import open_capsule

    return open_capsule(home, sink_for(as_json))
