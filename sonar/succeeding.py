"""Changes a party's account to a successor, which both have signed: `sonar.chain.contract.succession`.

Theory of operation. Naming a successor is for ever, so each step is done before the next one depends on it:
the journal says who the successor will be, its key is on the disk, the contract is there, the call is in the
outbox, the chain shows its effect in a confirmed block. Only then is the successor used. A kill in between
loses nothing: the next call takes the same successor and goes on; one whose key never came to the disk was
told to nobody, and is replaced.

What the old account has begun stays its own: stakes, escrows and balances are its in the market, where
nothing can be moved to another account. So the home keeps both keys, until the old one's bounties are over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sonar.chain.contract import errors
from sonar.chain.contract.calls import transfer
from sonar.chain.deploying.succession import ensure_succession, succession_on
from sonar.chain.sending import fees
from sonar.chain.sending.gas import with_margin
from sonar.chain.sending.intent import PREFIX, Action, Intent
from sonar.errors import InsufficientFunds, KeyFileError, MarketError, RpcError, UsageError
from sonar.frozen import frozen
from sonar.home import keystore
from sonar.protocol.ids import Address
from sonar.wiring import Party

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from sonar.chain.contract.succession import Succession
    from sonar.chain.sending.entries import Receipt
    from sonar.chain.sending.outbox import Outbox

_TRANSFER_GAS = 21_000
_TRIES = 20
_PAUSE_S = 0.5


@frozen
class Change:
    """A change of account. `used`: the new one begins what is new; else it is named, and not used yet.

    `receipt` is of the call that named it, if it was made from this home.
    """

    old: Address
    new: Address
    used: bool
    receipt: Receipt | None


def rotate(
    party: Party,
    begun: Callable[[], Iterable[str]],
    password: str,
    *,
    given: LocalAccount | None = None,
    later: bool = False,
    again: bool = False,
) -> Change:
    """Name a successor of the party's account, and use it from now on; the home must be locked.

    `begun` returns what the old account has begun (`AccountBook.of`). Without `given` the successor is made
    here. `later`: its key stays out of the home, and it is used when this is called again with it. One that
    nothing was done with yet is not replaced, except `again`.

    Changes of before that the chain has lost are sent again first.

    Raises UsageError for another successor than the one that was named, AlreadySucceeded if that was not
    done from this home, KeyFileError, what `ensure_succession` and `Outbox.perform` raise, and RpcError while
    the chain does not show the effect. Calling again is always safe.
    """
    accounts = party.own_accounts
    if later and given is None:
        problem = "a successor that is used later is no safer in this home than the account that it follows"
        raise UsageError(problem, hint="make it elsewhere, and name its key file by --to")
    if accounts.current not in keystore.addresses(party.home.keystore):
        return _take_over(party, begun, password, given)
    _mend(party, password)
    if _is_done(party, given, again=again):
        return Change(accounts.former[-1], accounts.current, True, None)
    outbox, succession = party.outbox(party.unlock(password)), succession_on(party.market)
    named = succession.successor(outbox.address) if succession.is_there() else None
    successor = given or _pending(party, outbox, named, password)
    new = Address(successor.address)
    _check(party, outbox, named, new)
    if succession.is_there() and named != new:
        _check_free(succession, new)
    party.book_of_accounts.name(new)
    if not later:
        _keep(party, successor, password)
    receipt = None
    if named != new:
        receipt = _succeed(party, outbox, successor)
    _see(party, outbox, succession, new)
    if not later:
        party.book_of_accounts.switch(begun())
    return Change(outbox.address, new, not later, receipt)


def _take_over(
    party: Party, begun: Callable[[], Iterable[str]], password: str, given: LocalAccount | None
) -> Change:
    """Use a successor that was named while the old account's key was there. Raises KeyFileError."""
    old, succession, market = party.own_accounts.current, succession_on(party.market), party.market
    deep = market.at_depth(market.head(), party.network.confirmations)
    named = succession.successor(old, deep) if succession.is_there() else None
    if given is None or named != Address(given.address):
        told = f"its successor is {named}" if named else "it has named no successor"
        raise KeyFileError(
            f"{party.home.keystore} has no key of {old}, and {told}",
            hint="put the key file back from a copy, or name the successor's key file by --to",
        )
    new = Address(given.address)
    party.book_of_accounts.name(new)
    _keep(party, given, password)
    party.book_of_accounts.switch(begun())
    return Change(old, new, True, None)


def given_by(to: Path | None, to_password_file: Path | None, password: str) -> LocalAccount | None:
    """Return the account of the key file `to`, by its own password or else the home's; None without one.

    Raises KeyFileError.
    """
    if to is None:
        if to_password_file is not None:
            raise UsageError("--to-password-file is for the key file of --to, which is missing")
        return None
    return keystore.load(to, keystore.read_password(to_password_file) if to_password_file else password)


def move_ether(party: Party, account: Address, to: Address, password: str) -> int:
    """Send what a former account holds, less what that may cost; return how much in wei. Safe to call again.

    Raises what `Outbox.perform` does.
    """
    market, outbox = party.market, party.outbox(party.unlock(password, account))
    intent = outbox.next(Intent(Action.TRANSFER, to, detail="rest"))
    (asked,) = market.rpc.batch(fees.HISTORY)
    if isinstance(asked, RpcError):
        raise asked
    # Fees may have risen when it is signed. What is left is dust.
    cost_wei = 2 * with_margin(_TRANSFER_GAS) * asked.price.max_fee_wei
    rest_wei: int = market.ether(account) - cost_wei
    if rest_wei <= 0 and not outbox.under_way(intent):
        return 0
    outbox.perform(intent, transfer(to, max(rest_wei, 0)))
    return max(rest_wei, 0)


def fault_of(party: Party, *, lost: bool = True) -> str:
    """Return how the chain's record of the party's accounts differs from the home's; nothing if it does not.

    By the confirmed block. Without `lost`, only a successor of which the home knows nothing counts. Raises
    ChainUnavailable, RpcError.
    """
    accounts, market = party.own_accounts, party.market
    succession = succession_on(market)
    deep = market.at_depth(market.head(), party.network.confirmations)
    there = succession.is_there()
    for old, new in zip(accounts.used, (*accounts.used[1:], accounts.successor), strict=True):
        found = succession.successor(old, deep) if there else None
        if found is None and old != accounts.current and lost:
            return f"the chain does not show that {new} follows {old}"
        if found not in (None, new):
            return f"{old} has named {found} as its successor, of which this home knows nothing"
    return ""


def _mend(party: Party, password: str) -> None:
    """Send again what the chain does not show of earlier changes: it has lost their blocks."""
    used, market, succession = party.own_accounts.used, party.market, succession_on(party.market)
    for old, new in pairwise(used):
        deep = market.at_depth(market.head(), party.network.confirmations)
        named = succession.successor(old, deep) if succession.is_there() else None
        if named == new:
            continue
        if named is not None:
            raise errors.AlreadySucceeded(old, named)
        party.progress.note(f"the chain does not show that {new} follows {old}; it is sent again")
        outbox = party.outbox(party.unlock(password, old))
        outbox.doubt(_intent(new))
        try:
            _succeed(party, outbox, party.unlock(password, new))
        except InsufficientFunds as poor:  # as on another network, where that account did nothing
            party.progress.problem(poor)
            continue
        _see(party, outbox, succession, new)


def _is_done(party: Party, given: LocalAccount | None, *, again: bool) -> bool:
    """Tell whether the last change was to this successor, or to one that has done nothing yet."""
    accounts = party.own_accounts
    if not accounts.former or accounts.successor is not None:
        return False
    if given is not None:
        return Address(given.address) == accounts.current
    return not (again or party.book_of_accounts.journal(accounts.current).items(PREFIX))


def _pending(party: Party, outbox: Outbox, named: Address | None, password: str) -> LocalAccount:
    """Return the successor that was recorded before; a new one if nobody has heard of that."""
    from eth_account import Account

    recorded = party.own_accounts.successor
    pending = recorded or named
    if pending in keystore.addresses(party.home.keystore):
        return party.unlock(password, pending)
    if recorded is not None and (named == recorded or outbox.submitted(_intent(recorded))):
        raise KeyFileError(
            f"{recorded} is named as the successor of {outbox.address}, and its key is not in this home",
            hint="name its key file by --to",
        )
    made: LocalAccount = Account.create()
    return made


def _check(party: Party, outbox: Outbox, named: Address | None, new: Address) -> None:
    """Check that the successor can be one, before anything is recorded. Raises UsageError, MarketError."""
    accounts = party.own_accounts
    if named is not None and named != new:
        raise errors.AlreadySucceeded(outbox.address, named)
    if new in accounts.used:
        raise UsageError(
            f"{new} is an account of this home, and can follow none that came after it",
            hint="name the key file of a new account, or leave --to out",
        )
    pending = accounts.successor
    if pending is not None and pending != new and outbox.submitted(_intent(pending)):
        raise UsageError(
            f"{pending} is being named as the successor of {outbox.address}, which is for ever",
            hint="run the command again with its key file, or without --to if its key is in this home",
        )


def _check_free(succession: Succession, new: Address) -> None:
    """Check that an account is in no chain yet. Raises SuccessorTaken, SuccessorSucceeded."""
    if (predecessor := succession.predecessor(new)) is not None:
        raise errors.SuccessorTaken(new, predecessor)
    if (after := succession.successor(new)) is not None:
        raise errors.SuccessorSucceeded(new, after)


def _keep(party: Party, successor: LocalAccount, password: str) -> None:
    """Write the successor's key to the home, on the disk when this returns. Raises KeyFileError."""
    keystore.save(party.home.keystore, successor, password, dev=party.network.dev)
    for folder in (party.home.keystore, party.home.path):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)  # the name as well
        finally:
            os.close(handle)
    party.unlock(password, Address(successor.address))  # before it is for ever: the file opens


def _succeed(party: Party, outbox: Outbox, successor: LocalAccount) -> Receipt | None:
    new = Address(successor.address)
    succession = ensure_succession(party.market, outbox)
    call = succession.succeed(new, succession.sign(outbox.address, successor))
    try:
        return outbox.perform(_intent(new), call)
    except MarketError:
        if succession.successor(outbox.address) != new:  # else it was named meanwhile
            if party.own_accounts.successor == new:
                party.book_of_accounts.name(None)  # the next one may be another
            raise
        return None


def _see(party: Party, outbox: Outbox, succession: Succession, new: Address) -> None:
    """Wait until a confirmed block shows the successor. Raises RpcError if it does not come to that."""
    market = party.market
    for _ in range(_TRIES):
        deep = market.at_depth(market.head(), party.network.confirmations)
        if succession.is_there() and succession.successor(outbox.address, deep) == new:
            return
        outbox.pause("the successor to be confirmed", _PAUSE_S)
    outbox.doubt(_intent(new))  # it is sent again when this is called again
    raise RpcError(
        f"the chain's node does not show that {new} follows {outbox.address}",
        hint="run the same command again, perhaps with another node: nothing is done twice",
    )


def _intent(successor: Address) -> Intent:
    return Intent(Action.SUCCEED, successor)
