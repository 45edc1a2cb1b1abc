"""Write tests/vectors/settlements.json, what a settler signs, for implementations in any language.

    python scripts/make_vectors_settlements.py            write the file
    python scripts/make_vectors_settlements.py --check    only compare; exit 1 when it differs

Made by eth-account from the types alone, without our code: the contract and every client are tested against
it. The key is made of a label and protects nothing. Bytes are hex; losses are text, as JSON readers round
beyond 2^53.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "settlements.json"
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Settlement": [
        {"name": "bounty", "type": "bytes32"},
        {"name": "round", "type": "uint8"},
        {"name": "newModelDigest", "type": "bytes32"},
        {"name": "newLoss", "type": "uint64"},
        {"name": "awards", "type": "Award[]"},
        {"name": "evidenceDigest", "type": "bytes32"},
    ],
    "Award": [{"name": "mine", "type": "address"}, {"name": "shareBps", "type": "uint16"}],
}
NAMES = (
    "chain_id",
    "contract",
    "bounty",
    "round",
    "new_model_digest",
    "new_loss",
    "awards",
    "evidence_digest",
)

Awards = tuple[tuple[str, int], ...]
Case = tuple[int, str, bytes, int, bytes, int, Awards, bytes]


def word(label: str) -> bytes:
    """32 bytes made from a label."""
    return hashlib.sha256(f"sonar test vector: {label}".encode()).digest()


def address(label: str) -> str:
    """An address made from a label."""
    return str(to_checksum_address(word(label)[:20]))


def awards(*shares: int) -> Awards:
    """One line for each share, ascending by address."""
    mines = sorted((address(f"mine {i}") for i in range(len(shares))), key=str.lower)
    return tuple(zip(mines, shares, strict=True))


def cases() -> list[Case]:
    """One settlement, the same with each part changed once, and the narrowest and the widest."""
    base: Case = (
        1337,
        address("contract"),
        word("bounty"),
        1,
        word("model"),
        923_000,
        awards(2_500, 0, 7_500),
        word("evidence"),
    )
    other = (
        1,
        address("contract 2"),
        word("bounty 2"),
        2,
        word("model 2"),
        923_001,
        awards(2_500, 7_500, 0),
        word("evidence 2"),
    )
    changed = [(*base[:i], other[i], *base[i + 1 :]) for i in range(len(base))]
    narrowest = (*base[:5], 0, (), base[7])
    widest = (*base[:3], 255, b"\xff" * 32, (1 << 64) - 1, awards(*[65_535] * 12), b"\xff" * 32)
    return [base, *changed, narrowest, widest]  # type: ignore[list-item]  # the slices keep the order of types


def signable(case: Case) -> Any:
    """The typed data of a settlement, as eth-account takes them."""
    chain_id, contract, bounty, number, model, loss, lines, evidence = case
    return encode_typed_data(
        full_message={
            "types": TYPES,
            "primaryType": "Settlement",
            "domain": {
                "name": "Sonar TrainingMarket",
                "version": "2",
                "chainId": chain_id,
                "verifyingContract": contract,
            },
            "message": {
                "bounty": bounty,
                "round": number,
                "newModelDigest": model,
                "newLoss": loss,
                "awards": [{"mine": mine, "shareBps": share} for mine, share in lines],
                "evidenceDigest": evidence,
            },
        }
    )


def entry(case: Case) -> dict[str, Any]:
    """What the file says of one settlement."""
    message = signable(case)
    signed = Account.sign_message(message, word("settler"))
    values = dict(zip(NAMES, case, strict=True))
    values["new_loss"] = str(values["new_loss"])
    values["awards"] = [{"mine": mine, "share_bps": share} for mine, share in case[6]]
    return {
        **{name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()},
        "domain_separator": message.header.hex(),
        "struct_hash": message.body.hex(),
        "digest": keccak(b"\x19" + message.version + message.header + message.body).hex(),
        "signature": signed.signature.hex(),
    }


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    key = word("settler")
    return {
        "settler": Account.from_key(key).address,
        "settler_key": key.hex(),
        "settlements": [entry(case) for case in cases()],
    }


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--check" not in arguments:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PATH.name} is not what the script makes")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
