"""The hashes that the contract also computes: a mine's seal, a bounty's id, and what a settler signs.

Seal and id are keccak256 over the ABI encoding of fixed-size words, so each field is one 32-byte word,
left-padded (numbers, addresses) or whole (bytes32). The contract keeps and compares the first 29 bytes of a
seal. A settler signs EIP-712 typed data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sonar.errors import UsageError
from sonar.protocol.abi import encode
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.keccak import keccak
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
    """Return a mine's commitment to its update, 32 bytes. It opens only to this bounty, round and mine.

    Raises UsageError for a field that does not fit its word.
    """
    return keccak(
        abi_word("chain_id", "uint256", chain_id)
        + abi_word("contract", "address", contract)
        + abi_word("bounty", "bytes32", bounty)
        + abi_word("round", "uint8", round_number)
        + abi_word("mine", "address", mine)
        + abi_word("update_digest", "bytes32", update_digest)
        + abi_word("salt", "bytes32", salt)
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
            abi_word("chain_id", "uint256", chain_id)
            + abi_word("contract", "address", contract)
            + abi_word("scientist", "address", scientist)
            + keccak(encode_terms(terms))
            + abi_word("model_digest", "bytes32", model_digest)
            + abi_word("key_digest", "bytes32", key_digest)
            + abi_word("salt", "bytes32", salt)
        )
    )


TERMS_ABI: dict[str, str] = {
    "asset": "address",
    "cohort_cap": "uint8",
    "min_mines": "uint8",
    "rounds": "uint8",
    "commit_window_s": "uint24",
    "reveal_window_s": "uint24",
    "settle_window_s": "uint24",
    "quiet_s": "uint16",
    "overdue_bps": "uint16",
    "stake_units": "uint96",
    "fee_units": "uint96",
    "reward_units": "uint96",
    "initial_loss": "uint64",
    "target_loss": "uint64",
    "settler": "address",
    "allow_root": "bytes32",
}
"""The fields of `Terms` in the contract's order, each with its ABI type."""


def terms_values(terms: Terms) -> tuple[Any, ...]:
    """Return the values of the terms in the contract's order."""
    return tuple(getattr(terms, field) for field in TERMS_ABI)


def terms_of(values: Sequence[Any]) -> Terms:
    """Return the terms of these values in the contract's order. Raises ValueError for another number."""
    return Terms(**dict(zip(TERMS_ABI, values, strict=True)))


def encode_terms(terms: Terms) -> bytes:
    """Return `abi.encode(terms)`: 16 words in the contract's order. Raises UsageError as `seal` does."""
    return b"".join(abi_word(field, kind, getattr(terms, field)) for field, kind in TERMS_ABI.items())


SETTLEMENT_TYPE = (
    "Settlement(bytes32 bounty,uint8 round,bytes32 newModelDigest,uint64 newLoss,Award[] awards,"
    "bytes32 evidenceDigest)Award(address mine,uint16 shareBps)"
)
AWARD_TYPE = "Award(address mine,uint16 shareBps)"
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
DOMAIN_NAME, DOMAIN_VERSION = "Sonar TrainingMarket", "2"


def settlement_digest(
    chain_id: int,
    contract: Address,
    bounty: BountyId,
    round_number: int,
    new_model_digest: Digest,
    new_loss: int,
    awards: Sequence[tuple[Address, int]],
    evidence_digest: Digest,
) -> bytes:
    """Return what a settler signs of a settlement, 32 bytes: EIP-712 in the domain of this contract.

    `awards`: (mine, share in basis points), in the contract's order. Raises UsageError as `seal` does.
    """
    domain = _domain(DOMAIN_NAME, DOMAIN_VERSION, chain_id, contract)
    lines = (
        keccak(
            keccak(AWARD_TYPE.encode())
            + abi_word("mine", "address", mine)
            + abi_word("share_bps", "uint16", share)
        )
        for mine, share in awards
    )
    settlement = (
        keccak(SETTLEMENT_TYPE.encode())
        + abi_word("bounty", "bytes32", bounty)
        + abi_word("round", "uint8", round_number)
        + abi_word("new_model_digest", "bytes32", new_model_digest)
        + abi_word("new_loss", "uint64", new_loss)
        + keccak(b"".join(lines))
        + abi_word("evidence_digest", "bytes32", evidence_digest)
    )
    return keccak(b"\x19\x01" + domain + keccak(settlement))


SUCCESSION_TYPE = "Succession(address account,address successor)"
SUCCESSION_NAME, SUCCESSION_VERSION = "Sonar Succession", "1"


def succession_digest(chain_id: int, contract: Address, account: Address, successor: Address) -> bytes:
    """Return what a successor signs, 32 bytes: EIP-712 in the domain of the contract `Succession`.

    Raises UsageError as `seal` does.
    """
    domain = _domain(SUCCESSION_NAME, SUCCESSION_VERSION, chain_id, contract)
    succession = (
        keccak(SUCCESSION_TYPE.encode())
        + abi_word("account", "address", account)
        + abi_word("successor", "address", successor)
    )
    return keccak(b"\x19\x01" + domain + keccak(succession))


def _domain(name: str, version: str, chain_id: int, contract: Address) -> bytes:
    """Return the hash of an EIP-712 domain with these four fields."""
    return keccak(
        keccak(DOMAIN_TYPE.encode())
        + keccak(name.encode())
        + keccak(version.encode())
        + abi_word("chain_id", "uint256", chain_id)
        + abi_word("contract", "address", contract)
    )


def abi_word(field: str, kind: str, value: Any) -> bytes:
    """Return one ABI word. Raises UsageError naming the field."""
    try:
        return encode((kind,), (value,))
    except ValueError:
        if kind == "bytes32" and isinstance(value, bytes):
            raise UsageError(f"{field}: must have 32 bytes, not {len(value)}") from None
        raise UsageError(f"{field}: {str(value)[:80]!r} does not fit the contract's {kind}") from None
