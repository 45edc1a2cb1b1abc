"""`pysonar rotate --account`: another account posts the next bounty; the old one ends what it has posted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sonar.accounts import AccountChanged, FormerAccount
from sonar.succeeding import given_by, move_ether, rotate

if TYPE_CHECKING:
    from pysonar.wiring import Scientist
    from sonar.protocol.ids import Address


def change(
    scientist: Scientist,
    to: Path | None,
    password_file: Path | None,
    to_password_file: Path | None = None,
    *,
    later: bool = False,
    again: bool = False,
) -> AccountChanged:
    """Name a successor of the scientist's account, and use it from now on.

    Raises as `sonar.succeeding.rotate`.
    """
    password = scientist.password(password_file)
    given = given_by(to, to_password_file, password)
    done = rotate(scientist, scientist.begun, password, given=given, later=later, again=again)
    return AccountChanged(
        done.old,
        done.new,
        done.used,
        len(going_on(scientist, done.old)),
        scientist.market.ether(done.old),
        done.receipt.tx_hash if done.receipt else "",
        done.receipt.fee_wei if done.receipt else 0,
    )


def going_on(scientist: Scientist, account: Address) -> list[str]:
    """Return the bounties of an account that were posted and are not closed. Raises JournalError."""
    from pysonar.campaign.records import Finished, Records

    def is_open(name: str) -> bool:
        records = Records(scientist.journal, name)
        last: Finished | None = records.get(Finished, records.finished())
        return last is None or not last.closed

    names = (name for name in scientist.names() if scientist.posted(name))
    return [name for name in names if scientist.account_of(name) == account and is_open(name)]


def former(scientist: Scientist) -> list[FormerAccount]:
    """Return the accounts of before. Raises ChainUnavailable, RpcError, JournalError."""
    market = scientist.market
    return [
        FormerAccount(one, market.ether(one), market.withdrawable(one), len(going_on(scientist, one)))
        for one in scientist.own_accounts.former
    ]


def move(scientist: Scientist, password_file: Path | None) -> int:
    """Send the ether of former accounts that have no open bounty to the current one; return how much in wei.

    Raises what sending raises.
    """
    password, to = scientist.password(password_file), scientist.address
    scientist.unlock(password)
    idle = [one for one in scientist.own_accounts.former if not going_on(scientist, one)]
    return sum(move_ether(scientist, one, to, password) for one in idle)
