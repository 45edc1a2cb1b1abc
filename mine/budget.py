"""`mine privacy` and `mine data budget`: what data sets have revealed, and the most that they may."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mine.options import DeltaOption, EpsilonOption, HomeOption
from sonar.errors import UsageError
from sonar.telling.terminal import JsonFlag, WideFlag, print_json, sink_for

if TYPE_CHECKING:
    from mine.data.dataset import DataSet
    from mine.wiring import Mine


def privacy(
    name: Annotated[str, typer.Argument(help="A data set's name. [default: all of them]")] = "",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it as a picture (PNG).")
    ] = None,
    home: HomeOption = None,
    wide: WideFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what each data set has revealed: to whom, when, what each release cost, and what is left.

    A release costs epsilon, at a delta; costs add up (as zCDP), over all bounties. It is counted by rows, so
    a renamed, sorted or extended file is recognised. It is not if its values were changed, or if it has both
    other columns and other rows. The bits that capsules may tell of answers are a second count.

    Examples: `mine privacy`, `mine privacy patients --plot spent.png`
    """
    from mine.show import privacy as shown
    from mine.wiring import open_mine

    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"--plot: {plot} is not the name of a PNG", hint=f"for example, {plot.stem}.png")
    mine = open_mine(home, sink_for(as_json))
    datasets = [find(mine, name)] if name else mine.book.datasets()
    elsewhere = shown.known_elsewhere(mine) if datasets else []
    rows = [shown.privacy_facts(mine, dataset, elsewhere) for dataset in datasets]
    if plot is not None:
        shown.draw(rows, plot)
    if as_json:
        print_json(rows)
        return
    shown.print_privacy(rows, wide=wide)
    if not rows:
        typer.echo("no data set; register one: `mine data add --csv FILE`")
    if plot is not None:
        typer.echo(f"drawn in {plot}")


def data_budget(
    name: Annotated[str, typer.Argument(help="A data set's name.")],
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    spent: Annotated[
        float | None,
        typer.Option(
            "--spent",
            metavar="EPSILON",
            help="Count what was released elsewhere, at the same delta, and go on; 0 if nothing was.",
        ),
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="No limit, whatever mine.toml says for all data.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show or set the most that may be learned of a data set, as epsilon at a delta, over all bounties.

    With a budget it joins only bounties that add noise, as long as what they cost is left. --spent is for a
    home that was copied or put back from a backup: releases may have been made that are not counted here.

    Examples: `mine data budget patients --epsilon 8`, `mine data budget patients --spent 2.5`
    """
    from mine.show import privacy as shown
    from mine.wiring import open_mine

    if unlimited and epsilon is not None:
        raise UsageError("--epsilon and --unlimited exclude each other", hint="give one of them")
    mine = open_mine(home, sink_for(as_json))
    dataset = find(mine, name)
    if unlimited:
        mine.privacy.give(name, None)
    elif epsilon is not None or delta is not None:
        give(mine, dataset, epsilon, delta)
    if spent is not None:
        _declare(mine, dataset, spent, delta)
    told = shown.budget_facts(mine.privacy, dataset, mine.policy.privacy.delta)
    if as_json:
        print_json(told)
        return
    typer.echo(shown.in_words(told))


def check_asked(epsilon: float | None, delta: float | None) -> None:
    """Check a budget before anything is registered with it. Raises ConfigError, UsageError."""
    from mine.privacy.policy import DELTA, Budget

    if epsilon is None and delta is not None:
        raise UsageError("--delta alone is no budget", hint="give --epsilon as well, such as --epsilon 8")
    if epsilon is not None:
        Budget.checked(epsilon, DELTA if delta is None else delta, "budget")


def give(mine: Mine, dataset: DataSet, epsilon: float | None, delta: float | None) -> None:
    """Give a data set a budget, and say so if its delta protects little. Raises ConfigError, UsageError."""
    from mine.privacy.policy import Budget
    from sonar.privacy.accounting import loose

    before = mine.privacy.budget(dataset)
    epsilon = epsilon if epsilon is not None else before.epsilon if before else None
    if epsilon is None:
        raise UsageError("--delta alone is no budget", hint="give --epsilon as well, such as --epsilon 8")
    if delta is None:
        own = mine.privacy.own_budget(dataset.name)[1]  # not that of other data with rows of it
        delta = own.delta if own else mine.policy.privacy.delta
    mine.privacy.give(dataset.name, Budget.checked(epsilon, delta, "budget"))
    mine.privacy.ledger.marks(dataset)  # while its file is there
    if told := loose(delta, dataset.rows):
        mine.progress.note(told)


def tell(mine: Mine, datasets: Iterable[DataSet]) -> None:
    """Print what is spent and left of each data set that has a budget, or has spent something."""
    from mine.show import privacy as shown

    for dataset in datasets:
        told = shown.budget_facts(mine.privacy, dataset, mine.policy.privacy.delta)
        if told.budget is not None or told.spent:
            typer.echo(shown.in_words(told))


def find(mine: Mine, name: str) -> DataSet:
    """Return the data set of this name. Raises DataError."""
    from sonar.errors import DataError

    for dataset in mine.book.datasets():
        if dataset.name == name:
            return dataset
    raise DataError("data", f"no data set is named {name[:80]!r}", hint="`mine data list` shows them")


def _declare(mine: Mine, dataset: DataSet, epsilon: float, delta: float | None) -> None:
    """Count what was spent elsewhere, and what may be missing now as known."""
    from mine.privacy.policy import Budget
    from mine.work.elsewhere import acts_elsewhere

    privacy, budget = mine.privacy, mine.privacy.budget(dataset)
    if delta is None:
        delta = budget.delta if budget else mine.policy.privacy.delta
    gaps = [*privacy.memory.missing(privacy.ledger), *acts_elsewhere(mine.market, mine.address, mine.book)]
    counted = Budget.checked(epsilon, delta, "spent") if epsilon else None
    privacy.declare(dataset, counted, mine.market.head().timestamp_s, gaps)
