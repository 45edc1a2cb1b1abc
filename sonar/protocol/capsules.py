"""What a capsule's account signs, and what is signed for a capsule: EIP-712 digests, 32 bytes each.

The domain names the market's contract and chain, so a signature counts on one network only.
"""

from __future__ import annotations

from sonar.protocol.ids import Address
from sonar.protocol.keccak import keccak
from sonar.protocol.seal import DOMAIN_TYPE, abi_word

NAME, VERSION = "Sonar Capsule", "2"
KEY_TYPE = "CapsuleKey(address capsule,uint32 epoch,bytes hpke)"
REQUEST_TYPE = "Request(address capsule,bytes32 nonce,uint64 expires,bytes body)"
ANSWER_TYPE = "Answer(bytes body)"
SUCCESSION_TYPE = "Succession(address account,address successor)"


def key_digest(chain_id: int, contract: Address, capsule: Address, epoch: int, hpke: bytes) -> bytes:
    """Return what a capsule signs of its own key for envelopes. Raises UsageError for what fits no word."""
    fields = abi_word("capsule", "address", capsule) + abi_word("epoch", "uint32", epoch)
    return _digest(chain_id, contract, keccak(KEY_TYPE.encode()) + fields + keccak(hpke))


def request_digest(
    chain_id: int, contract: Address, capsule: Address, nonce: bytes, expires_s: int, body: bytes
) -> bytes:
    """Return what a scientist signs of a request to one capsule. Raises UsageError for what fits no word."""
    fields = (
        abi_word("capsule", "address", capsule)
        + abi_word("nonce", "bytes32", nonce)
        + abi_word("expires_s", "uint64", expires_s)
    )
    return _digest(chain_id, contract, keccak(REQUEST_TYPE.encode()) + fields + keccak(body))


def answer_digest(chain_id: int, contract: Address, body: bytes) -> bytes:
    """Return what a capsule signs of an answer, which names the capsule and the request by itself."""
    return _digest(chain_id, contract, keccak(ANSWER_TYPE.encode()) + keccak(body))


def succession_digest(chain_id: int, contract: Address, account: Address, successor: Address) -> bytes:
    """Return what both accounts of a capsule sign when the second takes the place of the first.

    Raises UsageError for what fits no word.
    """
    fields = abi_word("account", "address", account) + abi_word("successor", "address", successor)
    return _digest(chain_id, contract, keccak(SUCCESSION_TYPE.encode()) + fields)


def _digest(chain_id: int, contract: Address, struct: bytes) -> bytes:
    domain = (
        keccak(DOMAIN_TYPE.encode())
        + keccak(NAME.encode())
        + keccak(VERSION.encode())
        + abi_word("chain_id", "uint256", chain_id)
        + abi_word("contract", "address", contract)
    )
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))
