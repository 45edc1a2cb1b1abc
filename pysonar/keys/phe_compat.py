"""Keys and ciphertexts to and from `phe` (python-paillier), both ways.

`phe` gives each number its own exponent of 16: the number m 16^exponent. Ours have one scale for a whole
vector, which lies in the slot plan; so each conversion of a ciphertext names `scale_bits`, the number being
m 2^-scale_bits. Needs the package `phe`, which nothing else in PySonar does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gmpy2 import mpz

from pysonar.keys.key import Key
from sonar.errors import ClientMissing, UsageError
from sonar.paillier.public import PublicKey

try:
    import phe
except ImportError as error:
    raise ClientMissing(
        "the package phe is not installed", hint="run: pip install 'sonar-network-scientist[phe]'"
    ) from error

if TYPE_CHECKING:
    from phe import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey

_LOG2_BASE = 4


def to_phe_public(key: PublicKey) -> PaillierPublicKey:
    """`phe`'s form of a public key."""
    return phe.PaillierPublicKey(int(key.n))


def from_phe_public(key: PaillierPublicKey, *, insecure: bool = False) -> PublicKey:
    """Our form of a public key, checked as one from outside is. Raises CiphertextError."""
    return PublicKey.from_bytes(key.n.to_bytes((key.n.bit_length() + 7) // 8, "big"), insecure=insecure)


def unsafe_to_phe_private(key: Key) -> PaillierPrivateKey:
    """`phe`'s form of a whole key: whoever has it decrypts everything, and no ledger counts."""
    return phe.PaillierPrivateKey(to_phe_public(key.public), *key.unsafe_primes())


def from_phe_private(key: PaillierPrivateKey, *, insecure: bool = False) -> Key:
    """Our form of a whole key, with a new ledger in memory. Raises CiphertextError."""
    from_phe_public(key.public_key, insecure=insecure)
    return Key(key.p, key.q)


def to_phe_number(key: PublicKey, ciphertext: int, *, scale_bits: int) -> EncryptedNumber:
    """`phe`'s form of a ciphertext whose plaintext m stands for m 2^-scale_bits. Raises CiphertextError."""
    up = -scale_bits % _LOG2_BASE  # its exponents count in fours of bits
    scaled = key.mul_plain(key.check(ciphertext), 1 << up)
    exponent = -(scale_bits + up) // _LOG2_BASE
    return phe.EncryptedNumber(to_phe_public(key), int(scaled), exponent)


def from_phe_number(key: PublicKey, number: EncryptedNumber, *, scale_bits: int) -> mpz:
    """A ciphertext at scale 2^scale_bits of `phe`'s number. Raises UsageError, CiphertextError.

    Refuses a number of another key, and one finer than `scale_bits`, which would lose digits.
    """
    if number.public_key.n != key.n:
        raise UsageError("the number is encrypted under another key")
    up = scale_bits + _LOG2_BASE * number.exponent
    if up < 0:
        raise UsageError(f"the number has {-_LOG2_BASE * number.exponent} fractional bits, not {scale_bits}")
    return key.mul_plain(key.check(number.ciphertext()), 1 << up)
