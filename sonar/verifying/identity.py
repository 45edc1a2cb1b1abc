"""Who a capsule says that it is, checked: who signed it, for which network, and whose place it took."""

from __future__ import annotations

from sonar.chain.signatures import key_fault, signer_of
from sonar.errors import CapsuleFault
from sonar.manifests.capsule import Identity, SignedAnswer, Succession
from sonar.protocol.capsules import answer_digest, succession_digest
from sonar.protocol.ids import Address


def identity_in(answer: SignedAnswer, chain_id: int, contract: Address) -> Identity:
    """Return a capsule's identity, if it is signed by its account, for this network, with all that it says.

    Raises CapsuleFault, and ManifestError for what is no identity.
    """
    told = Identity.from_bytes(answer.body)
    account = told.key.account
    if signer_of(answer_digest(chain_id, contract, answer.body), answer.signature) != account:
        raise CapsuleFault(f"what says that it is the capsule {account} is not signed by that account")
    if (told.chain_id, told.contract) != (chain_id, contract):
        where, here = (
            f"chain {told.chain_id}, contract {told.contract}",
            f"chain {chain_id}, contract {contract}",
        )
        raise CapsuleFault(
            f"the capsule {account} serves another network: {where}; yours is {here}",
            hint="take a capsule of your own network, or correct network.toml",
        )
    if key_fault(told.key, chain_id, contract):
        raise CapsuleFault(f"the capsule {account} did not sign the key that it gives for envelopes")
    for one in told.successions or ():
        check_succession(one, chain_id, contract)
    return told


def check_succession(one: Succession, chain_id: int, contract: Address) -> None:
    """Check that both accounts signed. Raises CapsuleFault naming the one that did not."""
    digest = succession_digest(chain_id, contract, one.account, one.successor)
    for account, signature in ((one.account, one.signature), (one.successor, one.accepted)):
        if signer_of(digest, signature) != account:
            raise CapsuleFault(
                f"that the capsule {one.successor} takes the place of {one.account} is not signed by "
                f"{account}",
                hint="do not take it over: ask whoever runs the capsule",
            )


def former(told: Identity) -> tuple[Address, ...]:
    """Return the accounts that a capsule had before, oldest first."""
    return tuple(one.account for one in told.successions or ())
