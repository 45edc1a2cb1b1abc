"""`mine rotate`: another account begins what is new; the old one ends what it has begun."""

from __future__ import annotations

from pathlib import Path

from mine.wiring import Mine
from sonar.accounts import AccountChanged
from sonar.succeeding import given_by, rotate


def change(
    mine: Mine,
    to: Path | None,
    password_file: Path | None,
    to_password_file: Path | None = None,
    *,
    later: bool = False,
    again: bool = False,
) -> AccountChanged:
    """Name a successor of the mine's account, and use it from now on. Raises as `sonar.succeeding.rotate`."""
    password = mine.password(password_file)
    given = given_by(to, to_password_file, password)
    done = rotate(mine, mine.begun, password, given=given, later=later, again=again)
    going_on = [one for one in mine.book.joined() if not one.over and mine.account_in(one.bounty) == done.old]
    return AccountChanged(
        done.old,
        done.new,
        done.used,
        len(going_on),
        mine.market.ether(done.old),
        done.receipt.tx_hash if done.receipt else "",
        done.receipt.fee_wei if done.receipt else 0,
    )
