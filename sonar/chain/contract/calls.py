"""The contract's calls as plain data: what the outbox signs and sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sonar.chain.contract import abi, token
from sonar.errors import ConfigError
from sonar.frozen import frozen
from sonar.protocol.ids import ETHER, Address, BountyId, Digest
from sonar.protocol.phase import Terms
from sonar.protocol.seal import settlement_digest, terms_values


@frozen
class Call:
    """A transaction to make: plain data, nothing is sent. `to` is None to create a contract.

    `name` and `round` (0: of no round) are for people and reports. A call that pays in a token, or concerns
    its allowance, says so in `asset`; `amount` is what the contract takes then, by an allowance.
    """

    to: Address | None
    data: bytes
    value_wei: int
    name: str
    round: int = 0
    asset: Address = ETHER
    amount: int = 0


@frozen
class Award:
    """A mine's line in a settlement: its share of the round's reward in basis points."""

    mine: Address
    share_bps: int


class Calls:
    """The calls of the TrainingMarket at `address`; nothing is sent."""

    address: Address
    chain_id: int

    def post(self, terms: Terms, model_digest: Digest, key_digest: Digest, salt: bytes) -> Call:
        """Post a bounty; its escrow goes with it, in a token by an allowance."""
        arguments = (terms_values(terms), model_digest, key_digest, salt)
        return self._call("postBounty", *arguments, pays=(terms.asset, terms.escrow_units), round=1)

    def commit(
        self,
        bounty: BountyId,
        round: int,
        seal: bytes,
        stake_units: int,
        *,
        asset: Address = ETHER,
        proof: Sequence[bytes] = (),
    ) -> Call:
        """Commit to an update; the stake goes with it, in a token by an allowance.

        `proof` shows that the mine is on the bounty's allow-list (`sonar.protocol.allowlist`).
        """
        return self._call("commit", bounty, round, seal, list(proof), pays=(asset, stake_units), round=round)

    def reveal(self, bounty: BountyId, round: int, update_digest: Digest, salt: bytes) -> Call:
        """Open a seal."""
        return self._call("reveal", bounty, round, update_digest, salt, round=round)

    def settle(
        self,
        bounty: BountyId,
        round: int,
        new_model_digest: Digest,
        new_loss: int,
        awards: Sequence[Award],
        evidence_digest: Digest,
        signature: bytes = b"",
    ) -> Call:
        """Settle a round. The awards name the whole cohort; they are put in the contract's order here.

        `signature`: the settler's over `settlement_digest`, if the terms name one.
        """
        settlement = (new_model_digest, new_loss, ordered(awards), evidence_digest, signature)
        return self._call("settle", bounty, round, *settlement, round=round)

    def settlement_digest(
        self,
        bounty: BountyId,
        round: int,
        new_model_digest: Digest,
        new_loss: int,
        awards: Sequence[Award],
        evidence_digest: Digest,
    ) -> bytes:
        """Return what the settler signs of a settlement, 32 bytes. Raises UsageError."""
        settlement = (bounty, round, new_model_digest, new_loss, ordered(awards), evidence_digest)
        return settlement_digest(self.chain_id, self.address, *settlement)

    def fix_cohort(self, bounty: BountyId, round: int, digest: bytes) -> Call:
        """Fix the cohort of a round that is summed, once a round, before it is settled."""
        return self._call("fixCohort", bounty, round, digest, round=round)

    def expire(self, bounty: BountyId, round: int, cohort: Sequence[Address]) -> Call:
        """End a round that failed or is overdue. `cohort`: the mines that revealed, in any order."""
        mines = sorted(cohort, key=lambda mine: int(mine, 16))
        return self._call("expire", bounty, round, mines, round=round)

    def close(self, bounty: BountyId) -> Call:
        """Take a bounty back that nobody has committed to."""
        return self._call("close", bounty)

    def withdraw(self, to: Address, asset: Address = ETHER) -> Call:
        """Take out everything that the contract owes the sender in an asset.

        Raises ConfigError for a receiver at which it would be lost; the contract refuses those too.
        """
        lost = {asset: "the token itself", self.address: "the market itself", ETHER: "the zero address"}
        if to in lost:
            raise ConfigError(
                "to",
                f"{to} is {lost[to]}: what is sent there is lost",
                hint="name an account of yours; nothing was sent",
            )
        return self._call("withdraw", asset, to)

    def approve(self, asset: Address, amount: int, round: int = 0) -> Call:
        """Allow the contract to take `amount` of a token from the sender."""
        return Call(asset, token.approval(self.address, amount), 0, "approve", round, asset)

    def _call(
        self, function: str, *arguments: Any, pays: tuple[Address, int] = (ETHER, 0), round: int = 0
    ) -> Call:
        name = "post" if function == "postBounty" else function
        (asset, amount), data = pays, abi.encode_call(function, *arguments)
        if asset == ETHER:
            return Call(self.address, data, amount, name, round)
        return Call(self.address, data, 0, name, round, asset, amount)


def ordered(awards: Sequence[Award]) -> list[tuple[Address, int]]:
    """Return the lines of a settlement in the contract's order: ascending by address."""
    return sorted(((award.mine, award.share_bps) for award in awards), key=lambda line: int(line[0], 16))


def transfer(to: Address, value_wei: int) -> Call:
    """Send ether, nothing else."""
    return Call(to, b"", value_wei, "transfer")
