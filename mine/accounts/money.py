"""Withdraws what the market owes a mine's accounts, and moves what former ones hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mine.show.documents import Claimed
from mine.wiring import Mine
from sonar.chain.sending.intent import Intent
from sonar.errors import RpcError
from sonar.protocol.ids import ETHER, Address, parse_address
from sonar.succeeding import move_ether
from sonar.telling.amounts import format_amount, format_wei

if TYPE_CHECKING:
    from pathlib import Path

    from sonar.chain.sending.entries import Receipt


def claim(
    mine: Mine, to: str | None, asset: str, password_file: Path | None, *, move: bool = False
) -> Claimed:
    """Withdraw what the contract owes the mine's accounts in an asset; what is under way is waited for.

    `move`: also send the ether of former accounts, unless they still work in a bounty. It is all paid to the
    current account, or to `to`.

    Raises NothingToWithdraw, ConfigError, what sending raises, and RpcError if the node has no record of it
    yet.
    """
    receiver = parse_address(to, "--to") if to else mine.address
    token = ETHER if asset == "ether" else parse_address(asset, "--asset")
    call = mine.market.withdraw(receiver, token)
    password, done = mine.password(password_file), []
    owed = _owed(mine, token, receiver, password)
    for account in owed or ([] if move else [mine.address]):  # which is told that there is nothing
        outbox = mine.outbox(mine.unlock(password, account))
        done.append((account, outbox.perform(outbox.next(Intent.of_claim(receiver, token)), call)))
    claimed = _told(mine, receiver, token, done)
    if not move:
        return claimed
    moved_wei = sum(move_ether(mine, one, receiver, password) for one in _idle(mine) if one != receiver)
    return replace(claimed, moved_wei=moved_wei, moved=format_wei(moved_wei) if moved_wei else "")


def _owed(mine: Mine, asset: Address, receiver: Address, password: str) -> list[Address]:
    """The accounts that are owed something, or whose withdrawal is under way."""

    def asks(account: Address) -> bool:
        if mine.market.withdrawable(account, asset=asset):
            return True
        outbox = mine.outbox(mine.unlock(password, account))
        return outbox.under_way(outbox.next(Intent.of_claim(receiver, asset)))

    mine.unlock(password)  # a wrong password is told before the chain is asked
    return [one for one in reversed(mine.own_accounts.used) if asks(one)]


def _told(mine: Mine, receiver: Address, asset: Address, done: list[tuple[Address, Receipt]]) -> Claimed:
    amount_units = sum(_withdrawn(mine, receipt) for _, receipt in done)
    return Claimed(
        receiver,
        amount_units,
        format_amount(amount_units, mine.unit(asset)),
        done[-1][1].tx_hash if done else "",
        sum(receipt.fee_wei for _, receipt in done),
        asset,
        [account for account, _ in done],
    )


def _idle(mine: Mine) -> list[Address]:
    """The former accounts that have no bounty to end."""
    busy = {mine.account_in(one.bounty) for one in mine.book.joined() if not one.over}
    return [one for one in mine.own_accounts.former if one not in busy]


def _withdrawn(mine: Mine, receipt: Receipt) -> int:
    """How much a withdrawal took out: by its record, since what is owed changes until it is mined."""
    from sonar.protocol.events import Withdrawn

    for event in mine.market.events(receipt.block, receipt.block):
        if isinstance(event, Withdrawn) and event.tx_hash == receipt.tx_hash:
            return event.amount_units
    raise RpcError(
        f"the withdrawal is mined in {receipt.tx_hash}, but the chain's node has no record of the amount "
        "yet; `mine earnings` will show it"
    )
