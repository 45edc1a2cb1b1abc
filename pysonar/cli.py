"""The command line of a scientist. Every help text has an example; heavy parts load where they are needed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pysonar.bounty import manual
from pysonar.commands.models import card, export
from pysonar.key_commands import key_app, rotate
from pysonar.options import AnyNameArgument, FileArgument, HomeOption, NameArgument
from pysonar.password import password
from sonar.errors import SonarError, UsageError
from sonar.telling.again import with_home
from sonar.telling.options import DevFlag, NetworkFileOption
from sonar.telling.terminal import (
    JsonFlag,
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
    from pysonar.bounty.base import AnyBounty
    from pysonar.show.documents import ClosingAsked
    from pysonar.wiring import Scientist

app = new_app(
    """Train models on data that others keep, or ask for statistics of them, and pay for what they give.

    First steps: `pysonar init --network network.toml`, write a `bounty.toml` (`pysonar run --help` shows
    one), `pysonar explain bounty.toml`, `pysonar run bounty.toml`.
    """,
    "pysonar",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_app(app, "pysonar", argv)


@app.command()
def init(
    network: NetworkFileOption = None,
    home: HomeOption = None,
    dev: DevFlag = False,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the scientist's home folder, with a new account and the network's file.

    Running it again changes nothing that exists; with --network it takes over the new network file.

    Example: `pysonar init --network network.toml`
    """
    from pysonar.wiring import make_home, open_scientist
    from sonar.telling.documents import PartyReady

    path = make_home(home, network, dev=dev, password_file=password_file)
    scientist = open_scientist(path, sink_for(as_json))
    following = with_home(
        f"send ether to {scientist.address} for escrow and gas, then: `pysonar explain bounty.toml`"
    )
    print_ready(PartyReady(scientist.address, str(path), scientist.network.name, following), as_json)


@app.command()
def explain(
    bounty: FileArgument,
    plan: Annotated[
        bool, typer.Option("--plan", help="Also show how the numbers lie in the ciphertexts: the slot plan.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what a bounty costs, how long it may take and who learns what. Nothing is sent.

    Only a bounty that starts from an earlier one needs a home. If the home's network is for development, the
    default time to settle is shorter.

    Example: `pysonar explain bounty.toml`
    """
    from pysonar.bounty.explain import explain as told
    from pysonar.show.documents import Explained
    from pysonar.wiring import is_development

    asked = _asked(bounty, home, as_json).on(dev=is_development(home))
    if not as_json:
        typer.echo(told(asked, plan=plan))
        return
    print_json(
        Explained(
            name=asked.settings.name,
            asset=asked.terms.asset,
            escrow_units=asked.terms.escrow_units,
            metric=asked.metric,
            initial_loss=asked.initial_loss,
            initial=asked.figures(asked.initial_loss, asked.design.start),
            target_loss=asked.target_loss,
            target=asked.figures(asked.target_loss),
            features=list(asked.features),
            plan=asked.design.plan.to_dict(),
            text=told(asked, plan=True),
        )
    )


@app.command(help=manual.RUN)
def run(
    bounty: FileArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Post without asking.")] = False,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Post a bounty and see it through. Its help text is `pysonar.bounty.manual.RUN`."""
    with told_when_stopped(f"pysonar run {shlex.quote(str(bounty))}", as_json):
        from pysonar.bounty.explain import explain as told
        from pysonar.wiring import locked

        asked = _asked(bounty, home, as_json)
        with locked(home, sink_for(as_json)) as scientist:
            name, asked = asked.settings.name, asked.on(dev=scientist.network.dev)
            password = _unlocked(scientist, password_file)
            if scientist.posted(name):
                scientist.progress.note(f"continuing {name!r}, which was started here before")
            else:
                if not as_json:
                    typer.echo(told(asked))
                scientist.warn_of_window(asked)
                if not (as_json or yes):
                    _confirm()
            try:
                _see_through(scientist, asked, password, as_json)
            except SonarError:
                scientist.forget(name)  # unless it was posted: then it continues from here
                raise


def _asked(bounty: Path, home: Path | None, as_json: bool) -> AnyBounty:
    """Read a bounty's file. A home is opened only to look up the bounty that it starts from."""
    from pysonar.bounty.request import Bounty
    from pysonar.bounty.study import Study, is_study
    from pysonar.wiring import open_scientist

    if is_study(bounty):
        return Study.from_toml(bounty)
    return Bounty.from_toml(bounty, lambda name: open_scientist(home, sink_for(as_json)).model(name))


def _unlocked(scientist: Scientist, password_file: Path | None) -> str:
    """Return the password after opening the keystore with it, so that a wrong one is reported first."""
    password = scientist.password(password_file)
    scientist.unlock(password)
    return password


def _see_through(scientist: Scientist, asked: AnyBounty, password: str, as_json: bool) -> None:
    """Run a campaign to its end and show it. Raises EnvironmentFault if it trained nothing."""
    from pysonar.show.views import print_result

    campaign = scientist.campaign(asked, password, patience_s=asked.patience_s)
    try:
        campaign.run(poll_s=scientist.poll_s)
    except KeyboardInterrupt:
        if campaign.id and not campaign.done:
            scientist.progress.note(
                f"the bounty is open: `pysonar resume {asked.settings.name}` continues it too. If you miss "
                "a settle window, you pay the mines by default and the bounty closes"
            )
        raise
    if campaign.done and not as_json:  # the last line of JSON is the result
        name = asked.settings.name
        told = f"the bounty needs its keys no more: `pysonar key remove {name}` removes them"
        scientist.progress.note(told)
    if not as_json:
        print_result(campaign.summary())
    found = campaign.found()  # raises if there is nothing, after the rest was shown
    if not (as_json or asked.metric):
        typer.echo(f"\n{found.summary()}")


@app.command()
def resume(
    name: NameArgument = "",
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Continue a bounty that was started before, without its file.

    Example: `pysonar resume diabetes`
    """
    with told_when_stopped(f"pysonar resume {shlex.quote(name) if name else ''}".rstrip(), as_json):
        from pysonar.wiring import locked

        with locked(home, sink_for(as_json)) as scientist:
            asked = scientist.started(name)
            _see_through(scientist, asked, _unlocked(scientist, password_file), as_json)


@app.command()
def close(
    name: NameArgument = "",
    yes: Annotated[bool, typer.Option("--yes", help="Close without asking.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """End a bounty before its last round, also while `pysonar run` is at work on it.

    It asks for the end, and returns. The contract lets a bounty end while nobody has committed to its open
    round: now, or right after the round that is under way. That round is settled as always, and its mines are
    paid. What they have not earned comes back, and is withdrawn. Running this again changes nothing.

    Example: `pysonar close diabetes`
    """
    from pysonar.wiring import open_scientist

    scientist = open_scientist(home, sink_for(as_json))
    name = scientist.started(name).settings.name
    if not (as_json or yes) and not typer.confirm(f"End the bounty {name} for good?"):
        raise UsageError("it goes on: nothing was changed", hint="run the same command again to end it")
    done = _ask_to_close(scientist, name)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done.bounty}: {'asked for before; ' * done.again}{done.told}")


def _ask_to_close(scientist: Scientist, name: str) -> ClosingAsked:
    """Ask for the end of a bounty that was posted from this home; of one that is closed, say so.

    Raises ConfigError for an unknown bounty, UsageError for one that is not posted, KeyFileError.
    """
    from pysonar.campaign.records import Records
    from pysonar.show.documents import ClosingAsked

    name = scientist.started(name).settings.name
    if not scientist.posted(name):
        hint = "nothing is in escrow; to post it never, do not run it"
        raise UsageError(f"the bounty {name!r} is not posted", hint=hint)
    if Records(scientist.journal, name).is_closed():
        return ClosingAsked(name, True, "it is closed already, and nothing of it is in escrow")
    new = scientist.closing(name).ask()
    told = (
        "it ends before the next round, at the latest after the one that is under way, which is settled and "
        f"paid. What mines have not earned comes back then. The program that runs it does this, or `pysonar "
        f"resume {name}`"
    )
    return ClosingAsked(name, not new, told)


@app.command()
def status(
    name: AnyNameArgument = "", home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False
) -> None:
    """Show the bounties of this home, or one of them, round by round: losses, who took part, who was paid.

    Example: `pysonar status`
    """
    from pysonar.show.documents import ScientistStatus
    from pysonar.show.views import print_status, status_of
    from pysonar.wiring import open_scientist

    document = status_of(open_scientist(home, sink_for(as_json)), name)
    if as_json:
        print_json(ScientistStatus.of(document))
    else:
        print_status(document, wide=wide)


@app.command()
def result(name: NameArgument = "", home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show what a study has found: its table, or all of its numbers with --json.

    Of a bounty that trains a model, `pysonar predict` uses the model.

    Example: `pysonar result heights`
    """
    from pysonar.show.documents import StudyResult
    from pysonar.wiring import open_scientist

    asked, found = open_scientist(home, sink_for(as_json)).result(name)
    if as_json:
        print_json(StudyResult(asked.settings.name, asked.statistic.kind, found.to_dict()))
    else:
        typer.echo(found.summary())


@app.command()
def predict(
    csv: Annotated[Path, typer.Option("--csv", help="A CSV whose first line names the columns.")],
    name: NameArgument = "",
    save: Annotated[
        Path | None, typer.Option("--save", help="Also write the model to this JSON file.")
    ] = None,
    probability: Annotated[
        bool,
        typer.Option(
            "--probability",
            help="For classes: the probability of the last of two, or of each of more, not the likeliest.",
        ),
    ] = False,
    ridge: Annotated[
        bool,
        typer.Option("--ridge", help="With the ridge that is best on the holdout, from the same sums."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Predict with the best model so far, one line per row, with commas between several targets.

    In the target's own unit, with all digits.

    Example: `pysonar predict diabetes --csv new_patients.csv`
    """
    from pysonar.show.documents import Predicted
    from pysonar.wiring import open_scientist

    model = open_scientist(home, sink_for(as_json)).model(name, ridge=ridge)
    if save is not None:
        model.save(save)
    x = model.read_csv(csv)
    predictions = (model.probability if probability else model.predict)(x).tolist()
    if as_json:
        print_json(Predicted(list(model.targets), model.loss, dict(model.figures), predictions))
    else:
        rows = (row if isinstance(row, list) else [row] for row in predictions)
        typer.echo("\n".join(",".join(map(_said, row)) for row in rows))


def _said(value: object) -> str:
    """Return a prediction: a number with all its digits, or a label as mines' files have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _confirm() -> None:
    """Ask whether to post. Raises UsageError when the answer is no, or nobody can answer."""
    try:
        agreed = typer.confirm("Post it?")
    except typer.Abort:
        typer.echo()
        raise UsageError("nothing was posted: nobody answered", hint="--yes posts without asking") from None
    if not agreed:
        raise UsageError("nothing was posted", hint="change the file, or run the same command again")


# Below the others in the help: what comes once there is a model, and what one seldom needs.
app.command()(export)
app.command()(card)
app.command()(rotate)
app.command()(password)
app.add_typer(key_app, name="key")
