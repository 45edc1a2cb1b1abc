"""What a mine does with each of its accounts: a bounty ends under the account that it was begun with.

A mine has one account, until its key changes. After that the former ones go on in the bounties that they have
begun, each with its own stakes, seals and transactions, and the current one joins all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mine.consent import Policy
from mine.work.ending import Endings
from mine.work.publisher import Publisher
from mine.work.rounds import Rounds
from mine.work.sender import Sender
from mine.work.state import Book
from mine.work.updates import Updates
from mine.work.urgency import Urgency
from mine.work.workshop import Workshop
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Head
from sonar.chain.sending.outbox import Outbox
from sonar.errors import UsageError
from sonar.frozen import frozen
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId
from sonar.telling.progress import Progress


@frozen
class Hand:
    """What works with one account."""

    outbox: Outbox
    sender: Sender
    updates: Updates
    endings: Endings
    rounds: Rounds


class Hands:
    """A hand for each account of a mine: the first of the outboxes is the current account's.

    `account_of` tells which account a bounty belongs to.
    """

    def __init__(
        self,
        market: Market,
        store: Store,
        outboxes: Sequence[Outbox],
        book: Book,
        workshop: Workshop,
        policy: Policy,
        progress: Progress,
        urgency: Urgency,
        publisher: Publisher,
        account_of: Callable[[BountyId], Address],
    ) -> None:
        self.account_of = account_of

        def hand(outbox: Outbox) -> Hand:
            me = outbox.address
            updates = Updates(market, store, me, book, workshop, policy, progress, urgency)
            sender = Sender(market, me, outbox, progress)
            endings = Endings(market, store, me, sender, book, urgency, progress)
            rounds = Rounds(market, me, sender, book, policy, progress, urgency, updates, publisher, endings)
            return Hand(outbox, sender, updates, endings, rounds)

        self._by_account = {outbox.address: hand(outbox) for outbox in outboxes}

    def __iter__(self) -> Iterator[Hand]:
        return iter(self._by_account.values())

    def of(self, bounty: BountyId) -> Hand:
        """Return the hand of the account that a bounty belongs to. Raises UsageError if it was not opened."""
        account = self.account_of(bounty)
        if account not in self._by_account:
            problem = f"the bounty belongs to the mine's former account {account}, whose key is not open"
            raise UsageError(
                problem, hint="start `mine run` again if its key file is there; or `mine leave` it"
            )
        return self._by_account[account]

    def recover(self, head: Head) -> None:
        """Send again what the chain has lost, of every account. Raises as `Outbox.recover`."""
        for hand in self:
            hand.outbox.recover(head)
