"""The port to whoever can decrypt: everything that may be asked about a bounty's updates.

Campaign, rounds and posting know only this port. `pysonar.keys.local` is the key on this machine with its
ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gmpy2 import mpz

from pysonar.keys.job import Job
from pysonar.keys.key import Tell
from pysonar.keys.ledger import Revealed
from pysonar.keys.updates import MineUpdate
from sonar.manifests.model import CoverSpec, KeyManifest
from sonar.paillier.public import PublicKey

SCORE_BITS = 16
"""The bits that a score reveals about one mine in a round."""


@dataclass(frozen=True)
class Choice:
    """Whose answers a round's sum takes.

    `weights` by mine, empty if nothing can be opened; `left`: whose answer stays out though it holds, and
    why; `digest` names the set. `manifest` is what has to be in the store, and its digest fixed on the chain,
    before the sum is opened; empty if nothing has to be.
    """

    weights: Mapping[str, int]
    left: Mapping[str, str]
    digest: bytes
    manifest: bytes = b""


class KeyHolder(Protocol):
    """Answers few questions, and records what it gives away before it answers.

    It decides by itself how many updates a sum takes at least: as many as the bounty's terms say, and no
    fewer than its own policy does. Every question may be asked again, after a crash too, and gets the same
    answer.
    """

    @property
    def public(self) -> PublicKey:
        """The public key that the bounty is posted with."""
        ...

    def key(self, job: Job | None = None, round: int = 1) -> KeyManifest:
        """The key of a round's answers and of the weights that they are to, with the proof that mines ask for
        (`sonar.paillier.public`). Without `job`, that of a bounty to be posted. Raises KeyFileError.
        """
        ...

    def public_of(self, job: Job, round: int) -> PublicKey:
        """The public key of a round's answers. Raises KeyFileError."""
        ...

    def turn(self, job: Job, round: int) -> bool:
        """Take the newest key from `round` on, whose weights are about to be encrypted; tell whether it is
        another than in the round before. The first decision about a round stands. Raises KeyFileError,
        MemoryShort, and then nothing changes.
        """
        ...

    def on_progress(self, tell: Tell | None) -> None:
        """Have `tell` called with (done, of) about once a second by work that takes longer."""
        ...

    def cover(self) -> CoverSpec:
        """What hides answers from whoever posts a bounty with this holder, as it is now; asks those that it
        takes. Raises ConfigError, EnvironmentFault, CapsuleFault.
        """
        ...

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |number| < n/2, under the key of a round. Reveals
        nothing. Raises UsageError, KeyFileError.
        """
        ...

    def least(self, job: Job) -> int:
        """How many updates a sum of the bounty takes: by its terms, and by the holder's policy."""
        ...

    def knows(self, job: Job, round: int) -> bool:
        """Tell whether it still has the updates of a round given to `holds`: later rounds are compared with
        them.
        """
        ...

    def look(self, job: Job, round: int) -> None:
        """Have auditors note which updates of a round are in the store now.

        What they saw then cannot be called withheld afterwards. So whoever gives up on missing updates has
        them look first, and then looks once more: else a mine that publishes between the two keeps a round
        from being settled. Raises EnvironmentFault, CapsuleFault.
        """
        ...

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Any | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """Reveal for each mine whether its update holds, None, or else the first test that it failed.

        `weights_int` int[d] are the weights of `round`, `updates` all well-formed ones that were revealed
        in it, `reveals` by mine the digests of all that were, by the chain: what is drawn in public follows
        from them, by default from those of `updates`. `reference` is the family's, opaque here: what the
        holdout says of answers at these weights.
        Rounds are asked about in order; one that the holder does not know any more is asked about again. A
        mine that failed an exact test before fails again by the same; the tests of `ROUND_ONLY` count for
        their round only. The first answer about an update in a round stands, whatever `reference` and rows
        are given later: they cannot be chosen by what was answered. Raises UsageError, CiphertextError,
        EnvironmentFault, CapsuleFault.
        """
        ...

    def twins(self, job: Job, round: int) -> dict[str, str]:
        """Reveal which mines sent answers of the same data in a round, of those that hold: all that `holds`
        has found. By mine the first address of those that it counts as one with, its own included.
        """
        ...

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        """Choose whose answers the round's sum takes, of `updates` that hold. Reveals nothing.

        `reveals` as for `holds`. A choice that has to be fixed stands, whatever is asked later. Raises
        UsageError.
        """
        ...

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """Reveal sum_i n_i u_i, d integers at scale 2^plan.scale_bits, with the weights of the choice:
        min(rows_i, weight_rows), divided among twins. What the choice says must be fixed is fixed before.

        Once a round, at the same weights of one cohort only, and each update in one sum only: raises
        LedgerConflict where the answer and an earlier one would give a single mine away. Raises UsageError
        for too few updates, twins counted once, or too many, CiphertextError, EnvironmentFault, CapsuleFault;
        UpdateOutOfRange if no such updates can have the sum, so that it tells nothing.
        """
        ...

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        """Reveal whose updates made the round's sum none: by mine the test that it fails. `reveals` as for
        `holds`. They are left out from now on. Raises LedgerConflict without a sum, EnvironmentFault,
        CapsuleFault.
        """
        ...

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """Reveal for each mine i in the round's sum: sum_s n_i <vectors[s], u_i^s>, rounded to 16 bits.

        `vectors` float64[d] by round, and u in real units; of a mine's updates those count that were in the
        bounty's sums. All values are scaled together, so that the largest magnitude becomes 32767; a positive
        one stays at least 1, since the sign says who is paid, and a cheat's huge negative score must not wipe
        out the others'. The first answer of a round stands, whatever is asked later. Raises UsageError, also
        for a vector of a round that it does not know; LedgerConflict for a round without a sum.
        """
        ...

    def revealed(self, job: Job) -> dict[str, Revealed]:
        """What was revealed about each mine in a bounty so far."""
        ...
