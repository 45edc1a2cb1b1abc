"""Puts the committee of a bounty's capsules on a chain, and joins its members' signatures.

A committee holds no money and has no owner, so everybody's is the same: it lies where its members and its
threshold say, and whoever needs it uses it, whoever paid for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sonar.chain.contract import committee
from sonar.chain.contract.calls import Call
from sonar.chain.deploying import create2
from sonar.chain.rpc import Chain
from sonar.chain.sending.entries import Receipt
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.chain.signatures import form_fault, signer_of
from sonar.errors import MarketError, ProxyRefused, RemoteError, UsageError, WrongContract
from sonar.protocol.ids import Address
from sonar.protocol.keccak import keccak
from sonar.telling.progress import Progress

_NAME = "deploy committee"
_BY_PROXY, _BY_NONCE = "committee", "committee-plain"


@dataclass(frozen=True)
class Placed:
    """A committee on a chain. `plain`: it lies at an address of the account's own, by its nonce.

    `receipt` is of the transaction that put it there, with its gas and fee, if that was this account's.
    """

    address: Address
    plain: bool
    receipt: Receipt | None


def committee_address(members: Sequence[Address], threshold: int) -> Address:
    """Return where the committee of these members lies, or would lie, on every chain that has the proxy.

    Raises UsageError for members that do not ascend, and for a threshold that they cannot reach.
    """
    return create2.address_of(committee.creation_code(members, threshold))


def ensure_committee(
    chain: Chain,
    outbox: Outbox,
    members: Sequence[Address],
    threshold: int,
    *,
    plain: bool = False,
    progress: Progress | None = None,
) -> Placed:
    """Deploy the committee unless it is there, wait until it is, and check its code. Safe to call again.

    It goes to `committee_address`. Where the node refuses the proxy, or with `plain`, the account creates one
    at an address of its own; a second call finds that in the outbox's journal. `progress` is told of that.

    Raises UsageError as `committee_address`, what `Outbox.perform` and `create2.place_proxy` raise, and
    WrongContract if the chain holds other code there than was sent.
    """
    code = committee.creation_code(members, threshold)
    expected, address = committee.runtime_code(members, threshold), create2.address_of(code)
    subject, progress = keccak(code).hex(), progress or Progress()
    if found := chain.code(address):
        _check(address, expected, found)
        return Placed(address, False, _receipt(outbox, Intent(Action.DEPLOY, subject, detail=_BY_PROXY)))
    by_nonce = Intent(Action.DEPLOY, subject, detail=_BY_NONCE)
    if not (plain or outbox.submitted(by_nonce)):
        try:
            return _by_proxy(chain, outbox, Intent(Action.DEPLOY, subject, detail=_BY_PROXY), code, expected)
        except ProxyRefused as refused:
            progress.note(f"{refused}; so the committee gets an address by this account's next nonce")
    return _plain(chain, outbox, by_nonce, code, expected)


def _by_proxy(chain: Chain, outbox: Outbox, intent: Intent, code: bytes, expected: bytes) -> Placed:
    address, receipt = create2.address_of(code), None
    create2.place_proxy(chain, outbox)
    creation = create2.creation(code)
    try:
        receipt = outbox.perform(intent, Call(creation.to, creation.data, 0, _NAME))
    except MarketError:
        if not chain.code(address):  # else somebody else was quicker, and it is the same committee
            raise
    _check(address, expected, chain.code(address))
    return Placed(address, False, receipt)


def _plain(chain: Chain, outbox: Outbox, intent: Intent, code: bytes, expected: bytes) -> Placed:
    receipt = outbox.perform(intent, Call(None, code, 0, _NAME))
    if receipt.contract is None:
        raise RemoteError("the receipt of the committee's deployment names no contract")
    _check(receipt.contract, expected, chain.code(receipt.contract))
    return Placed(receipt.contract, True, receipt)


def _receipt(outbox: Outbox, intent: Intent) -> Receipt | None:
    """Return the receipt of what this account has sent for `intent`, if it has and that is confirmed."""
    try:
        return outbox.outcome(intent) if outbox.submitted(intent) else None
    except MarketError:  # ours failed, since somebody else's was first
        return None


def _check(address: Address, expected: bytes, found: bytes) -> None:
    if found != expected:
        raise WrongContract(address, keccak(expected).hex(), keccak(found).hex() if found else "none")


def committee_signature(digest: bytes, signatures: Mapping[Address, bytes], threshold: int) -> bytes:
    """Return the committee's signature over 32 bytes: `threshold` of its members' signatures, ascending.

    More may be given; those of the lowest addresses are taken. Raises UsageError for too few, and for one
    that is not by the account that it is given for.
    """
    for account, signature in signatures.items():
        if problem := form_fault(signature):
            raise UsageError(f"the signature of {account}: {problem}")
        if (signer := signer_of(digest, signature)) != account:
            raise UsageError(f"the signature of {account} is of {signer or 'nobody'}, or of something else")
    if len(signatures) < threshold:
        raise UsageError(
            f"{len(signatures)} of the committee signed, and it takes {threshold}",
            hint="ask the members that have not signed again",
        )
    ascending = sorted(signatures, key=lambda account: int(account, 16))
    return b"".join(signatures[account] for account in ascending[:threshold])
