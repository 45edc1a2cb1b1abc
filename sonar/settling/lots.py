"""Draws that everybody can repeat, and nobody knows before all answers of a round are revealed.

The seed is a hash of the bounty, the round, and each mine's update, which its seal has fixed before. A last
mine to reveal has one choice: it can reveal what it has sealed, or nothing, which costs its stake. So whoever
has k addresses chooses among 2^k seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_DOMAIN = b"sonar lots 1"


class Lots:
    """The draws of a round for one purpose, one after the other: number i is sha2-256(seed, i), joined."""

    def __init__(self, purpose: str, bounty: bytes, round: int, reveals: Mapping[str, bytes]) -> None:
        seed = hashlib.sha256(_DOMAIN + len(purpose).to_bytes(1, "big") + purpose.encode())
        seed.update(bounty + round.to_bytes(1, "big"))
        for mine, update in sorted((int(mine, 16), update) for mine, update in reveals.items()):
            seed.update(mine.to_bytes(20, "big") + update)
        self._seed, self._drawn = seed.digest(), 0

    def draw(self, bits: int) -> int:
        """Return a number of `bits` bits, at least one."""
        blocks = -(-bits // 256)
        first, self._drawn = self._drawn, self._drawn + blocks
        wide = b"".join(
            hashlib.sha256(self._seed + i.to_bytes(8, "big")).digest() for i in range(first, self._drawn)
        )
        return int.from_bytes(wide, "big") >> (256 * blocks - bits)

    def below(self, bound: int) -> int:
        """Return a number in [0, bound), uniform but for one part in 2^128."""
        return self.draw(bound.bit_length() + 128) % bound
