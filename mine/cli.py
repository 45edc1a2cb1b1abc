"""The command line of a mine. Every help text has an example; heavy parts load where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mine.accounts.commands import claim, rotate
from mine.budget import data_budget, privacy
from mine.options import (
    CsvOption,
    DeltaOption,
    EpsilonOption,
    ExampleOption,
    HomeOption,
    NameOption,
    ShardOption,
)
from mine.password import password
from mine.verify import verify
from sonar.errors import UsageError
from sonar.telling.again import with_home
from sonar.telling.options import BountyArgument, DevFlag, NetworkFileOption
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
    from mine.show.printing import Layout
    from mine.wiring import Mine

app = new_app(
    """Train encrypted models on your own data, and be paid for it. Your data never leave this machine.

    First steps: `mine init --network network.toml`, `mine data add --csv FILE`, `mine doctor`,
    `mine bounties`, `mine join BOUNTY`, `mine run`.
    """,
    "mine",
)
data_app = new_app("Register data sets, and see which bounties they fit.")
app.add_typer(data_app, name="data")

_AT_STAKE = "What is committed must be revealed in time, or its stake is lost: see `mine status`."
app.command()(verify)
app.command()(password)
app.command()(privacy)
data_app.command("budget")(data_budget)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_app(app, "mine", argv)


@app.command()
def init(
    network: NetworkFileOption = None,
    home: HomeOption = None,
    dev: DevFlag = False,
    insecure_keys: Annotated[
        bool, typer.Option("--insecure-keys", help="Accept 1024-bit bounties. For made-up data only.")
    ] = False,
    csv: CsvOption = None,
    example: ExampleOption = None,
    shard: ShardOption = "1/1",
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the mine's home folder, with a new account, the network's file, and data if you name some.

    Running it again changes nothing that exists; with --network it takes over the new network file. --epsilon
    gives the data a budget: `mine data budget --help`.

    Example: `mine init --network network.toml --csv patients.csv`
    """
    from mine import budget, setup
    from mine.show import printing
    from mine.wiring import open_mine
    from sonar.telling.documents import PartyReady
    from sonar.telling.text import count

    budget.check_asked(epsilon, delta)
    if epsilon is not None and csv is None and example is None:
        raise UsageError("--epsilon is a budget of data", hint="name the data, too: --csv FILE, or --example")
    path = setup.make_home(home, network, dev=dev, insecure_keys=insecure_keys, password_file=password_file)
    mine = open_mine(path, sink_for(as_json))
    with mine.home.lock():
        dataset = setup.add_data(mine.book, csv, example, shard) if csv or example else None
        if dataset and epsilon is not None:
            budget.give(mine, dataset, epsilon, delta)
    following = with_home(setup.next_step(mine))
    data = dataset.to_record() if dataset else None
    has = f"{dataset.name}: {count(dataset.rows, 'row')}, {len(dataset.columns)} columns" if dataset else ""
    print_ready(PartyReady(mine.address, str(path), mine.network.name, following, data), as_json, has)
    if dataset and not as_json:
        printing.print_left_out(dataset)


@app.command()
def doctor(
    home: HomeOption = None, password_file: PasswordFileOption = None, as_json: JsonFlag = False
) -> None:
    """Check everything a mine needs, from its keystore to its data. Exits with 1 if something is wrong.

    Example: `mine doctor --password-file password`
    """
    from mine.show.doctor import examine
    from sonar.telling.checks import examination

    found = examination(examine(_open(home, as_json), password_file), tell=not as_json)
    if as_json:
        print_json(found)
    if not found.ok:
        raise typer.Exit(1)


@data_app.command("add")
def data_add(
    csv: CsvOption = None,
    example: ExampleOption = None,
    shard: ShardOption = "1/1",
    name: NameOption = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="COLUMN", help="A column to leave out; may be repeated."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the data set of the same name.")
    ] = False,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Register a data set by its path and its content's digest. The file stays in place, and must not change.

    Every cell is checked: anything but a number is reported by line and column. Columns that hold only words
    or dates are left out. New content is a new data set. Whoever posts two bounties could learn the rows in
    which two data sets of yours differ, from the difference of the sums: so change many rows, or none.

    With --epsilon it has a budget: `mine data budget --help`. One that replaces another keeps that one's.

    Examples: `mine data add --csv patients.csv --epsilon 8`, `mine data add --example diabetes --shard 3/10`
    """
    from mine import budget, setup
    from mine.show import printing, views

    mine = _open(home, as_json)
    budget.check_asked(epsilon, delta)
    dataset = setup.add_data(mine.book, csv, example, shard, name, without=without or (), replace=replace)
    if epsilon is not None:
        budget.give(mine, dataset, epsilon, delta)
    if as_json:
        print_json(views.facts(dataset))
    else:
        printing.print_added(dataset)
        budget.tell(mine, [dataset])


@data_app.command("list")
def data_list(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """List the registered data sets, and in how many rounds each was used.

    Example: `mine data list`
    """
    from mine.show import printing, views

    mine = _open(home, as_json)
    rows = views.datasets(mine.book, mine.policy, mine.privacy)
    _show(rows, printing.DATASETS, as_json, "no data set; register one: `mine data add --csv FILE`")


@data_app.command("check")
def data_check(bounty: BountyArgument, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Check every registered data set fully against a bounty, without joining it.

    Example: `mine data check 0x3fd1`
    """
    from mine.show import printing, views

    mine = _open(home, as_json)
    rows = views.fit(mine, _posted(mine, bounty))
    _show(rows, printing.FIT, as_json, "no data set; register one: `mine data add --csv FILE`")
    if not any(row.fits for row in rows):
        raise typer.Exit(1)


@app.command()
def bounties(home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False) -> None:
    """List the open bounties: what they pay, what they need, and whether your data fit.

    Example: `mine bounties`
    """
    from mine.show import printing, views

    rows = views.bounties(_open(home, as_json))
    if rows and not as_json:
        printing.print_offers(rows, wide=wide)
    else:
        _show(rows, None, as_json, "no open bounty on this network")


@app.command()
def join(
    bounty: Annotated[str, typer.Argument(help="A bounty's id in hex, or its first digits.")] = "",
    data: Annotated[str | None, typer.Option("--data", help="Name of the data set to use.")] = None,
    join_all: Annotated[
        bool, typer.Option("--all", help="Development networks only: join every bounty that the data fit.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take part in a bounty, after checking it against your policy and your data. `mine run` does the work.

    The data set is frozen for the bounty: the difference of two rounds could reveal a row added between them.

    Example: `mine join 0x3fd1 --data patients`
    """
    from mine import budget
    from mine.show import printing, views
    from mine.work import joining

    mine = _open(home, as_json)
    if bool(bounty) == join_all:
        raise UsageError("name one bounty, or give --all", hint="`mine bounties` lists the open ones")
    posted = _all_open(mine) if join_all else [_posted(mine, bounty)]
    joined = [
        joining.join(
            mine.market,
            mine.store,
            mine.account_in(one.bounty),
            mine.policy,
            mine.book,
            mine.sums,
            one,
            data,
        )
        for one in posted
    ]
    rows = views.joined(joined, mine.policy)
    _show(rows, printing.JOINED, as_json, "no open bounty fits the data")
    if not as_json:
        printing.print_covers(rows)
        for one, task in joined if data is None else ():
            if others := joining.others_that_fit(mine.book, one, task):
                typer.echo(
                    f"joined with {one.dataset.name}; {', '.join(others)} would fit too: --data chooses"
                )
        budget.tell(mine, {one.dataset.name: one.dataset for one, _ in joined}.values())


@app.command()
def leave(bounty: BountyArgument, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Leave a bounty: take no part in its further rounds. Refused while a stake of yours is at risk.

    Example: `mine leave 0x3fd1`
    """
    from mine import setup
    from mine.show.documents import Left
    from mine.wiring import locked

    with locked(home, sink_for(as_json)) as mine:
        left = setup.leave(mine.book, bounty)
    if as_json:
        print_json(Left(left))
    else:
        typer.echo(f"left {left}")


@app.command()
def run(
    join_all: Annotated[
        bool, typer.Option("--join-all", help="Development networks only: join whatever fits.")
    ] = False,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="End when every joined bounty is closed.")
    ] = False,
    claim: Annotated[
        bool, typer.Option("--claim", help="Withdraw what was earned when a bounty is closed.")
    ] = False,
    max_rounds: Annotated[
        int | None, typer.Option("--max-rounds", min=1, help="Rounds per data set, over all bounties.")
    ] = None,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Work on the joined bounties until Ctrl-C. You can kill it at any time; it continues when started again.

    While it waits, it prepares the blindings that hide its next updates, on all cores or on SONAR_CORES of
    them.

    Examples: `mine run`, `mine run --exit-when-done --claim --json`
    """
    with told_when_stopped("mine run", as_json, _AT_STAKE):
        from mine import service, setup
        from mine.wiring import locked

        with locked(home, sink_for(as_json)) as mine:
            setup.require_dev(mine, join_all, "--join-all")
            service.serve(
                mine,
                password_file,
                max_rounds=max_rounds,
                join_all=join_all,
                exit_when_done=exit_when_done,
                claim=claim,
            )


@app.command()
def status(home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False) -> None:
    """Show what the mine is doing, what it has, and what it has revealed about its data.

    Example: `mine status`
    """
    from mine.show import printing, views

    document = views.status(_open(home, as_json))
    if as_json:
        print_json(document)
    else:
        printing.print_status(document, wide=wide)


@app.command()
def earnings(home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False) -> None:
    """Show income and gas, round by round, from the chain's record.

    Example: `mine earnings`
    """
    from mine.show import printing, views

    document = views.income(_open(home, as_json))
    if as_json:
        print_json(document)
    else:
        printing.print_earnings(document, wide=wide)


app.command()(claim)
app.command()(rotate)


def _open(home: Path | None, as_json: bool) -> Mine:
    from mine.wiring import open_mine

    return open_mine(home, sink_for(as_json))


def _posted(mine: Mine, prefix: str) -> Any:
    """The one bounty whose id begins with `prefix`."""
    return mine.market.posted(prefix)


def _all_open(mine: Mine) -> list[Any]:
    from mine import setup
    from mine.work import joining

    setup.require_dev(mine, True, "--all")
    return joining.open_and_fitting(mine.market, mine.store, mine.address, mine.policy, mine.book, mine.sums)


def _show(rows: Sequence[Any], layout: Layout | None, as_json: bool, nothing: str) -> None:
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(with_home(nothing))
    elif layout is not None:
        from mine.show.printing import print_rows

        print_rows([vars(row) for row in rows], layout)
