"""`mine claim` and `mine rotate`: commands about the mine's accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from mine.options import HomeOption
from sonar.telling.options import AgainFlag, LaterFlag, ToOption, ToPasswordOption
from sonar.telling.terminal import (
    JsonFlag,
    PasswordFileOption,
    print_json,
    sink_for,
)


def claim(
    to: Annotated[
        str | None, typer.Option("--to", help="The address to pay. [default: the mine's own]")
    ] = None,
    asset: Annotated[
        str, typer.Option("--asset", help="What to withdraw: ether, or a token's address.")
    ] = "ether",
    move: Annotated[
        bool,
        typer.Option("--move", help="Also send the ether of former accounts that have ended everything."),
    ] = False,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Withdraw everything that the contract owes the mine, in ether or in one token.

    What it owes former accounts (`mine rotate`) is withdrawn by them, to the same address.

    Examples: `mine claim --to 0x52908400098527886E0F7030069857D2E4169EE7`,
    `mine claim --asset 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48`
    """
    from mine.accounts import money
    from mine.wiring import locked

    with locked(home, sink_for(as_json)) as mine:
        document = money.claim(mine, to, asset, password_file, move=move)
    if as_json:
        print_json(document)
    else:
        typer.echo(f"withdrew {document.amount} to {document.to}")
        if document.moved:
            typer.echo(f"moved {document.moved} of former accounts to {document.to}")


def rotate(
    to: ToOption = None,
    to_password_file: ToPasswordOption = None,
    later: LaterFlag = False,
    again: AgainFlag = False,
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the mine's account: a successor takes its place, which both sign, once and for ever.

    The bounties that are joined end under the old account, with its stakes and its key; new ones are joined
    by the successor. History, uses and budgets are this home's, and stay. Without --to the successor is made
    here. Stop `mine run` first, and start it again afterwards. You can kill this at any time, and run it
    again.

    Examples: `mine rotate`, `mine rotate --to cold.json --later`
    """
    from mine.accounts.changing import change
    from mine.wiring import locked
    from sonar.accounts import print_changed

    with locked(home, sink_for(as_json)) as mine:
        document = change(mine, to, password_file, to_password_file, later=later, again=again)
    if as_json:
        print_json(document)
    else:
        print_changed(document, "mine rotate", "mine claim --move")
