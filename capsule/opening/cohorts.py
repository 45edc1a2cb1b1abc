"""Which sets may be opened: all of it follows from the chain, the same at every capsule.

Two sums that differ by one mine give away that mine's answer. So each capsule must know all sums that were
ever opened in a bounty, also those that only others were asked for, and those that its own ledger has lost.
It does: a sum needs t capsules, and an honest one opens only what `fixCohort` fixed on the chain and what
passes `Opened.fault`. So the sets that were fixed and pass, round by round, hold all that can have been
opened. A set that does not pass was opened by nobody honest, and does not count, at any capsule alike. For
that, `Opened.fault` sees chain, manifests and terms alone; a capsule's own policy comes on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capsule.problems import Refused
from sonar.errors import BlobNotFound, BlobTooLarge, ManifestError
from sonar.manifests.cohort import CohortManifest, read_cohort
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, Cid, Digest
from sonar.settling.selection import Opened

if TYPE_CHECKING:
    from capsule.home.ledger import Ledger
    from capsule.opening.chainview import View


class Cohorts:
    """Reads the sets that the chain has fixed. Raises Refused, BlobNotFound, StoreUnavailable."""

    def __init__(self, store: Store, ledger: Ledger, site: tuple[int, Address]) -> None:
        self._store, self._ledger, self._site = store, ledger, site

    def get(self, view: View, number: int, digest: Digest, least: int) -> CohortManifest:
        """Return the set of a round whose digest a request names, if it may be opened by these rules.

        `least` is the operator's own, which comes on top: the fewest mines that this capsule opens a sum of.
        It tells nothing of a digest that the chain has not fixed, not even whether the store has it.
        """
        fixed = view.round(number).fixed
        if fixed is None:
            raise Refused(
                "depth",
                f"no set is fixed in round {number} at block {view.head.number}",
                hint="call fixCohort, and ask again when the chain has come further",
            )
        if fixed.digest != digest:
            raise Refused("cohort", f"the set that is fixed in round {number} is {fixed.digest.hex()}")
        cohort = self._read(view.state.bounty, number, digest)
        if isinstance(cohort, str):
            raise Refused("cohort", f"the set of round {number} is malformed: {cohort}")
        if problem := self._misplaced(view, number, cohort):
            raise Refused("cohort", problem)
        before = self._before(view, number)
        if problem := before.fault(cohort.weights, view.state.terms.least):
            raise Refused("cohort", problem, hint=_NEXT)
        if problem := before.fault(cohort.weights, least):
            raise Refused("policy", f"this capsule's operator asks for {least} mines: {problem}")
        return cohort

    def _before(self, view: View, number: int) -> Opened:
        """Return all that may have been opened in a bounty before a round."""
        opened, least = Opened(), view.state.terms.least
        for earlier in range(1, number):
            record = view.rounds.get(earlier)
            if record is None or record.fixed is None:
                continue
            cohort = self._read(view.state.bounty, earlier, Digest(record.fixed.digest))
            if isinstance(cohort, str) or self._misplaced(view, earlier, cohort):
                continue
            if not opened.fault(cohort.weights, least):
                opened = opened.with_sum(cohort.weights)
        return self._with_own(view, number, opened)

    def _with_own(self, view: View, number: int, opened: Opened) -> Opened:
        """Add what this capsule opened by what the chain said then, if a reorganisation has changed that."""
        for earlier, digest, manifest in self._ledger.opened(view.state.bounty):
            record = view.rounds.get(earlier)
            fixed = record.fixed.digest if record and record.fixed else None
            if earlier < number and digest != fixed:
                opened = opened.with_sum(read_cohort(manifest).weights)
        return opened

    def _read(self, bounty: BountyId, number: int, digest: Digest) -> CohortManifest | str:
        """Return a set, or what is wrong with its bytes; those in the ledger first."""
        data = self._ledger.cohort(bounty, number, digest)
        try:
            if data is None:
                data = self._store.get(Cid("dag-cbor", digest), CohortManifest.max_bytes)
                self._ledger.keep_cohort(bounty, number, digest, data)
            return read_cohort(data)
        except BlobNotFound as error:
            raise Refused(
                "missing",
                f"the set that is fixed in round {number}, {digest.hex()}, is not in the store",
                hint="put it there: without it nobody knows which sums may still be opened",
            ) from error
        except (ManifestError, BlobTooLarge) as error:
            return str(error)

    def _misplaced(self, view: View, number: int, cohort: CohortManifest) -> str:
        """Return what in a set is not this round's, or nothing."""
        place = (*self._site, view.state.bounty, number)
        if (cohort.chain_id, cohort.contract, cohort.bounty, cohort.round) != place:
            return f"the set is not of round {number} of this bounty"
        reveals = view.rounds[number].reveals
        for one in cohort.addends:
            revealed = reveals.get(one.mine)
            if revealed is None or revealed.update_digest != one.update:
                return f"{one.mine} has not revealed the update {one.update.hex()} in round {number}"
        return ""


_NEXT = "a round has one set: settle this one without a sum, and choose the next by what was opened"
