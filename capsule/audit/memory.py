"""What an auditor has read of a bounty before. An audit goes back to the first round, each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import ModelManifest
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.record import Manifest
from sonar.settling.updates import ReadUpdate

MOST_BYTES = 32 << 20
"""The most bytes of ciphertexts that are kept of a bounty; what has no room is read again."""
_MOST_BOUNTIES = 4

Place = tuple[int, Address, Digest]
"""Where an update is: its round, its mine, and the digest of its manifest."""


@dataclass(frozen=True)
class Summed:
    """What a round's set added up to: int[d k], over `rows` rows."""

    sums: list[int]
    rows: int
    cohort: CohortManifest

    @property
    def mines(self) -> list[str]:
        """Who is in the set."""
        return list(self.cohort.weights)

    @property
    def weights(self) -> dict[str, int]:
        """What each answer of the set weighs, by mine."""
        return self.cohort.weights


@dataclass
class Memory:
    """Of one bounty, all that hashes name: manifests, models, the updates that are well-formed; and by round
    and digest the sums of sets, which follow from openings that were checked.
    """

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    models: dict[Digest, ModelManifest] = field(default_factory=dict)
    _updates: dict[tuple[Place, Digest], ReadUpdate] = field(default_factory=dict)
    _sums: dict[tuple[int, Digest], Summed] = field(default_factory=dict)
    _bytes: int = 0

    def updates(self, places: Sequence[Place], model: Digest) -> dict[Address, ReadUpdate]:
        """Return those that were read before, as answers to this model."""
        known = {place[1]: self._updates.get((place, model)) for place in places}
        return {mine: update for mine, update in known.items() if update is not None}

    def keep(self, place: Place, model: Digest, update: ReadUpdate) -> None:
        """Keep an update, if there is room."""
        size = 2 * len(update.blob)  # once more as numbers
        if (place, model) not in self._updates and self._bytes + size <= MOST_BYTES:
            self._updates[place, model] = update
            self._bytes += size

    def sum_of(self, number: int, cohort: Digest, compute: Callable[[], Summed]) -> Summed:
        """Return what a set of an earlier round added up to: from before, or computed now."""
        place = number, cohort
        if place not in self._sums:
            self._sums[place] = compute()
        return self._sums[place]


class Memories:
    """Those of the bounties that were audited last: by id, and by the manifest that each was posted with."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[BountyId, Digest], Memory] = OrderedDict()

    def of(self, bounty: BountyId, first: Digest) -> Memory:
        """Return a bounty's."""
        found = self._known.setdefault((bounty, first), Memory())
        self._known.move_to_end((bounty, first))
        while len(self._known) > _MOST_BOUNTIES:
            self._known.popitem(last=False)
        return found
