"""Signatures of accounts over digests: made with a key, and read back to the account that made them."""

from __future__ import annotations

from typing import Any, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar.protocol.ids import Address

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Of the curve secp256k1. Of the two signatures s and -s, only the lesser is taken (EIP-2)."""


def sign_digest(account: LocalAccount, digest: bytes) -> bytes:
    """Return the account's signature over 32 bytes: r, s, v, 65 bytes."""
    return bytes(account.unsafe_sign_hash(cast("Any", digest)).signature)


def form_fault(signature: bytes) -> str:
    """Return what is wrong with a signature's form; nothing if the market takes it."""
    if len(signature) != 65:
        return f"an account's signature has 65 bytes, not {len(signature)}"
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
