"""The seeds of an update's masks: the manifest that a mine revealed, checked, and its envelope opened."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from gmpy2 import mpz

from capsule.problems import Refused
from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch, ManifestError
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.cohort import digest_of_parts
from sonar.ports import Store
from sonar.protocol.ids import Address, Cid, Digest
from sonar.settling.updates import Expected, check_update, update_manifest
from sonar.veil import envelopes
from sonar.veil.streams import Place

if TYPE_CHECKING:
    from capsule.home.ledger import Ledger
    from capsule.opening.bounties import Bounties, Bounty, Question
    from capsule.opening.chainview import View

_MOST_KEPT = 4096


@dataclass(frozen=True)
class Masked:
    """An update as far as a capsule knows it: where its masks come from, by class that this capsule holds.

    They are added modulo `n`, which is that of its round's key; 0 for words, whose masks are modulo 2^64.
    """

    place: Place
    rows: int
    n: mpz
    seeds: Mapping[int, bytes]

    def __repr__(self) -> str:
        return f"Masked({self.place.round}, {self.rows} rows)"


class Updates:
    """Reads the updates of mines. Safe to use from several threads.

    Whatever is wrong with one mine's update raises Refused with the code "mine", and names it; a store that
    does not answer raises StoreUnavailable.
    """

    def __init__(self, store: Store, bounties: Bounties, ledger: Ledger, site: tuple[int, Address]) -> None:
        self._store, self._bounties, self._ledger, self._site = store, bounties, ledger, site
        self._known: OrderedDict[tuple[bytes, int, Address, bytes], Masked] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, bounty: Bounty, view: View, number: int, mine: Address, digest: Digest) -> Masked:
        """Return a mine's update of a round, if it is what the mine revealed in it on the chain."""
        revealed = view.round(number).reveals.get(mine)
        if revealed is None or revealed.update_digest != digest:
            _refuse(mine, f"has not revealed the update {digest.hex()} in round {number}")
        place = bounty.bounty, number, mine, bytes(digest)
        with self._lock:
            if found := self._known.get(place):
                return found
        question = self._bounties.question(bounty, view, number)
        manifest = self._manifest(mine, digest)
        veil = self._checked(bounty, number, question, mine, manifest)
        seeds = self._opened(bounty, mine, veil)
        if not self._ledger.freeze_seeds(bounty.bounty, mine, digest_of_parts(*veil.seeds)):
            _refuse(mine, f"has other seeds in round {number} than before in this bounty")
        n = question.key.n if question.key else mpz(0)
        found = Masked(Place(question.model, veil.nonce, number), manifest.rows, n, seeds)
        with self._lock:
            self._known[place] = found
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Read everything again when it is next needed."""
        with self._lock:
            self._known.clear()

    def _manifest(self, mine: Address, digest: Digest) -> UpdateManifest:
        try:
            return update_manifest(self._store.get(Cid("dag-cbor", digest), UpdateManifest.max_bytes))
        except BlobNotFound:
            _refuse(mine, f"has revealed the update {digest.hex()}, which is not in the store")
        except (ManifestError, BlobTooLarge, DigestMismatch) as error:
            _refuse(mine, f"has revealed a malformed update: {error}")

    def _checked(
        self, bounty: Bounty, number: int, question: Question, mine: Address, manifest: UpdateManifest
    ) -> Veil:
        place = *self._site, bounty.bounty, number
        expected = Expected.of(place, question.model, question.key, bounty.model)
        try:
            check_update(manifest, expected, mine)
        except ManifestError as error:
            _refuse(mine, f"has revealed an update that is not as this round asks: {error}")
        veil = manifest.veil
        assert veil is not None
        return veil

    def _opened(self, bounty: Bounty, mine: Address, veil: Veil) -> dict[int, bytes]:
        epoch = bounty.epoch
        context = envelopes.context(*self._site, bounty.bounty, mine, epoch.public.epoch, veil.seeds)
        hashes = [veil.seeds[c] for c in bounty.held]
        try:
            seeds = epoch.secret.open(veil.envelopes[bounty.place], context, hashes)
        except ManifestError as error:
            _refuse(mine, f"has sent this capsule an envelope that {error.problem}")
        return dict(zip(bounty.held, seeds, strict=True))


def _refuse(mine: Address, problem: str) -> NoReturn:
    raise Refused("mine", f"{mine} {problem}", hint="ask again without this mine", mine=mine)
