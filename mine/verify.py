"""`mine verify`: whether a bounty was what it says, checked from the mine's own home."""

from __future__ import annotations

import typer

from mine.options import HomeOption
from sonar.telling.options import BountyArgument
from sonar.telling.terminal import JsonFlag, WideFlag, print_json, sink_for


def verify(
    bounty: BountyArgument, home: HomeOption = None, wide: WideFlag = False, as_json: JsonFlag = False
) -> None:
    """Check every round of a bounty by what is public: what was revealed, summed, signed and paid.

    The same as `sonar verify BOUNTY`, through this mine's own chain node and store. Exits with 4 if anything
    is false; with 3 if nothing is, but something could not be checked.

    Example: `mine verify 0x3fd1`
    """
    from mine.wiring import open_mine
    from sonar.telling.verdicts import exit_code, print_verified
    from sonar.verifying import reading

    mine = open_mine(home, sink_for(as_json))
    try:
        posted = reading.posted_as(mine.market, bounty)
        told = reading.verify(mine.market, lambda: mine.store, posted, mine.progress)
    finally:
        mine.close()
    if as_json:
        print_json(told)
    else:
        print_verified(told, wide=wide)
    if code := exit_code(told):
        raise typer.Exit(code)
