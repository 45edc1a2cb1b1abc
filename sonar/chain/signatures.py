"""Signatures of accounts over digests: made with a key, and read back to the account that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar.protocol.capsules import key_digest
from sonar.protocol.ids import Address
from sonar.protocol.record import is_ascending

if TYPE_CHECKING:
    from sonar.manifests.model import CapsuleKey

SIGNATURE_BYTES = 65
"""Of an account: r, s, v. A committee's signature is so many of them, one after another."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Of the curve secp256k1. Of the two signatures s and -s, only the lesser is taken (EIP-2)."""


def sign_digest(account: LocalAccount, digest: bytes) -> bytes:
    """Return the account's signature over 32 bytes: r, s, v, 65 bytes."""
    return bytes(account.unsafe_sign_hash(cast("Any", digest)).signature)


def form_fault(signature: bytes) -> str:
    """Return what is wrong with a signature's form; nothing if the market takes it."""
    if len(signature) != SIGNATURE_BYTES:
        return f"an account's signature has {SIGNATURE_BYTES} bytes, not {len(signature)}"
    if signature[64] not in (27, 28) or int.from_bytes(signature[32:64]) > _HALF_ORDER:
        return "the market refuses this form of signature: v must be 27 or 28, s at most half of the order"
    return ""


def signer_of(digest: bytes, signature: bytes) -> Address | None:
    """Return the account that signed 32 bytes, None for what is nobody's signature."""
    if form_fault(signature):
        return None
    try:
        return Address(str(Account._recover_hash(digest, signature=signature)))
    except Exception:  # noqa: BLE001 - the library raises what it likes on numbers that are no signature
        return None


def key_fault(key: CapsuleKey, chain_id: int, contract: Address) -> str:
    """Return why a key for envelopes is not that of its capsule; nothing if the capsule's account signed it.

    A signature counts on one network: that of the contract on this chain.
    """
    signer = signer_of(key_digest(chain_id, contract, key.account, key.epoch, key.hpke), key.signature)
    return "" if signer == key.account else f"signed by {signer or 'nobody'}, not by {key.account}"


def signers_of(digest: bytes, signature: bytes) -> list[Address | None]:
    """Return who signed each part of a committee's signature over 32 bytes; None for nobody.

    Bytes beyond the last whole part are one more that nobody signed.
    """
    starts = range(0, len(signature), SIGNATURE_BYTES)
    return [signer_of(digest, signature[start : start + SIGNATURE_BYTES]) for start in starts]


def committee_fault(digest: bytes, signature: bytes, members: Sequence[Address], threshold: int) -> str:
    """Return why the committee of these members says no to a signature; nothing if it says yes.

    The contract's rule, without a chain: exactly `threshold` members, ascending.
    """
    found = signers_of(digest, signature)
    if len(signature) != threshold * SIGNATURE_BYTES:
        return f"{len(signature)} bytes, not {threshold} signatures of {SIGNATURE_BYTES}"
    named = [signer for signer in found if signer is not None]
    if len(named) < len(found):
        return f"signature {found.index(None) + 1} of {threshold} is nobody's"
    if others := [signer for signer in named if signer not in members]:
        return f"{others[0]} signed, who is no member, or a member signed something else"
    return "" if is_ascending(named) else "the signers are not ascending, or one signed twice"
