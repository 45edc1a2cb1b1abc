"""keccak256, which Ethereum uses for everything, and EIP-55's checksum of addresses, which is made with it.

Of pycryptodome, as eth-utils has it too: that library loads 300 modules for it, 0.1 s of every command.
"""

from __future__ import annotations

from functools import lru_cache

from Crypto.Hash import keccak as _keccak


def keccak(data: bytes) -> bytes:
    """Return keccak256 of `data`, 32 bytes."""
    return _keccak.new(data=data, digest_bits=256).digest()


def selector(signature: str) -> bytes:
    """Return the first 4 bytes of a signature's hash; the signature is as "transfer(address)"."""
    return keccak(signature.encode())[:4]


@lru_cache(maxsize=1024)
def checksummed(account: bytes) -> str:
    """Return the address of 20 bytes as EIP-55 writes it."""
    digits = account.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) > 7 else digit for digit, mark in zip(digits, marks, strict=False)
    )
