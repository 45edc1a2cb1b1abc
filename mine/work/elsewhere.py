"""What a mine's account has done from elsewhere: a copy of its home, or the home before it was restored.

Such a copy may have released something of the same data with noise of its own. The chain tells of it: the
copy can show nothing to anybody without a commit.
"""

from __future__ import annotations

from collections.abc import Collection

from mine.privacy.memory import Gap
from mine.work.state import Book
from sonar.chain.contract.market import Market
from sonar.chain.sending.entries import Entry
from sonar.chain.sending.intent import PREFIX
from sonar.chain.sending.pool import Counts
from sonar.home.accounts import AccountBook, Accounts, recorded
from sonar.home.journal import Journal
from sonar.protocol import seal as seals
from sonar.protocol.events import Committed
from sonar.protocol.ids import Address, hex32
from sonar.telling.text import count, short


def acts_elsewhere(market: Market, me: Address, book: Book) -> list[Gap]:
    """Return what the chain knows of `me`, and of the home's accounts before it, and this home does not.

    Raises RpcError, ChainUnavailable.
    """
    accounts = recorded(book.journal) or Accounts((me,))
    sections = AccountBook(book.journal, accounts)
    sent = [gap for one in accounts.used for gap in _transactions(market, one, sections.journal(one))]
    return [*sent, *_commits(market, accounts.used, book)]


def _transactions(market: Market, me: Address, journal: Journal) -> list[Gap]:
    """Whether more transactions of the account are known to the chain than to the home."""
    counts = Counts(me)
    mined, pooled = counts.read(*market.rpc.batch(*counts.requests()))
    entries = journal.items_as(Entry.read, PREFIX)
    known = max((entry.nonce + 1 for entry in entries if entry.place == market.place), default=0)
    more = max(mined, pooled) - known
    if more <= 0:
        return []
    told = f"account {short(me)} has sent {count(more, 'transaction')} that this home does not know"
    return [Gap(f"account/{market.place}/{me}/{known + more}", told)]


def _commits(market: Market, accounts: Collection[Address], book: Book) -> list[Gap]:
    """Commits of the accounts that are none of this home's."""
    found = []
    for event in market.events(market.deployed_block, names=(Committed.__name__,)):
        if not isinstance(event, Committed) or event.mine not in accounts:
            continue
        part = book.part(event.bounty, event.round)
        if not part.seal or seals.kept(part.seal) != seals.kept(event.seal):
            told = (
                f"account {short(event.mine)} has committed in round {event.round} of bounty "
                f"{short(hex32(event.bounty))} from another home folder"
            )
            found.append(Gap(f"commit/{event.bounty.hex()}/{event.round}/{event.seal.hex()}", told))
    return found
