"""The two hashes that the contract makes as well: a mine's seal and a bounty's id.

Both are keccak256 over the ABI encoding of fixed-size words, so each field is one 32-byte word, left-padded
(numbers, addresses) or whole (bytes32). The contract keeps and compares the first 29 bytes of a seal.
"""

from __future__ import annotations

from eth_utils.crypto import keccak

from sonar.errors import UsageError
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.phase import Terms

SEAL_BYTES_KEPT = 29


def seal(
    chain_id: int,
    contract: Address,
    bounty: BountyId,
    round_number: int,
    mine: Address,
    update_digest: Digest,
    salt: bytes,
) -> bytes:
    """Return a mine's commitment to its update, 32 bytes. It opens to this bounty, round and mine alone.

    Raises UsageError for a field that does not fit its word.
    """
    return keccak(
        _uint("chain_id", chain_id, 256)
        + _address("contract", contract)
        + _word("bounty", bounty)
        + _uint("round", round_number, 8)
        + _address("mine", mine)
        + _word("update_digest", update_digest)
        + _word("salt", salt)
    )


def kept(seal_: bytes) -> bytes:
    """Return the part of a seal that the contract stores, 29 bytes."""
    return seal_[:SEAL_BYTES_KEPT]


def bounty_id(
    chain_id: int,
    contract: Address,
    scientist: Address,
    terms: Terms,
    model_digest: Digest,
    key_digest: Digest,
    salt: bytes,
) -> BountyId:
    """Return the id under which the contract will know this bounty. Raises UsageError as `seal` does."""
    return BountyId(
        keccak(
            _uint("chain_id", chain_id, 256)
            + _address("contract", contract)
            + _address("scientist", scientist)
            + keccak(encode_terms(terms))
            + _word("model_digest", model_digest)
            + _word("key_digest", key_digest)
            + _word("salt", salt)
        )
    )


def encode_terms(terms: Terms) -> bytes:
    """Return `abi.encode(terms)`: 13 words in the contract's order. Raises UsageError as `seal` does."""
    return (
        _address("asset", terms.asset)
        + _uint("cohort_cap", terms.cohort_cap, 8)
        + _uint("min_mines", terms.min_mines, 8)
        + _uint("rounds", terms.rounds, 8)
        + _uint("commit_window_s", terms.commit_window_s, 24)
        + _uint("reveal_window_s", terms.reveal_window_s, 24)
        + _uint("settle_window_s", terms.settle_window_s, 24)
        + _uint("stake_units", terms.stake_units, 96)
        + _uint("fee_units", terms.fee_units, 96)
        + _uint("reward_units", terms.reward_units, 96)
        + _uint("initial_loss", terms.initial_loss, 64)
        + _uint("target_loss", terms.target_loss, 64)
        + _word("allow_root", terms.allow_root)
    )


def _uint(field: str, value: int, bits: int) -> bytes:
    if not 0 <= value < 1 << bits:
        raise UsageError(f"{field}: {value} does not fit in {bits} bits", hint=f"use 0 to 2^{bits} - 1")
    return value.to_bytes(32, "big")


def _address(field: str, value: Address) -> bytes:
    try:
        raw = bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        raise UsageError(f"{field}: {value[:80]!r} is not an address") from None
    if len(raw) != 20:
        raise UsageError(f"{field}: an address has 20 bytes, not {len(raw)}")
    return raw.rjust(32, b"\0")


def _word(field: str, value: bytes) -> bytes:
    if len(value) != 32:
        raise UsageError(f"{field}: must have 32 bytes, not {len(value)}")
    return value
