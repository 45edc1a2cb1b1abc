"""What commands show of a party's accounts: one that took another's place, and those of before."""

from __future__ import annotations

from sonar.protocol.ids import Address
from sonar.telling.again import with_home
from sonar.telling.amounts import format_wei
from sonar.telling.documents import Amount, document
from sonar.telling.tables import print_named
from sonar.telling.text import count


@document
class FormerAccount:
    """An account that another one of this party followed: what it has, how many bounties it goes on in."""

    address: Address
    ether_wei: Amount
    withdrawable_wei: Amount
    bounties: int

    def told(self, claim: str) -> str:
        """In words, with the command that takes out what it has."""
        todo = (
            f"goes on in {count(self.bounties, 'bounty', 'bounties')}" if self.bounties else "has ended all"
        )
        have, owed = format_wei(self.ether_wei), format_wei(self.withdrawable_wei)
        return f"{self.address}: {todo}; {have}, {owed} to withdraw ({claim})"


@document
class AccountChanged:
    """An account has a successor. `used`: that begins what is new; else it is only named.

    `going_on`: in how many bounties the old account goes on, with the `ether_wei` that it has.
    """

    old: Address
    new: Address
    used: bool
    going_on: int
    ether_wei: Amount
    tx_hash: str = ""
    gas_wei: Amount = 0


def print_changed(done: AccountChanged, command: str, claim: str) -> None:
    """Show a person that an account has a successor, and what is left to do.

    `command` changes the account, `claim` moves what former ones have.
    """
    if not done.used:
        following = f"keep its key file safe; `{command} --to FILE` begins to use it"
    elif done.going_on:
        bounties = count(done.going_on, "bounty", "bounties")
        following = f"keep ether on both: {done.old} goes on in {bounties}, with its own money"
    else:
        following = f"`{claim}` sends what the old account has to the new one"
    told = {
        "old": f"{done.old}: {format_wei(done.ether_wei)}",
        "new": done.new if done.used else f"{done.new}, named and not used yet",
        "next": with_home(following),
    }
    if done.used and not done.tx_hash:
        told["sent"] = "nothing now: the chain has this change; " + with_home(
            f"`{command} --again` makes another"
        )
    print_named(told.items())
