"""What a home remembers of its ledger, so that it notices when something is missing there, or here.

Noise that is drawn twice for the same rows is half the privacy. So nothing new is released for a data set
while the home knows, or must assume, that releases were made of which nothing is recorded: a ledger is behind
the charge that the home has used last, its noisy sums are gone, or the account has acted from a copy of the
home. The owner may count what was spent there, and go on: each such gap is then known for that data set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mine.privacy.ledger import Ledger, ReleaseLost
from sonar.errors import ConsentError
from sonar.frozen import frozen
from sonar.home.journal import Journal
from sonar.telling.text import count

_USED, _KNOWN = "privacy/used/", "privacy/known/"


@frozen
class Gap:
    """Releases may have been made of which nothing is known. `name` tells it from others."""

    name: str
    told: str


def lost_release(error: ReleaseLost) -> Gap:
    """Noisy sums that are gone: the same release would have to be made again."""
    return Gap(f"release/{error.name}", str(error))


class Memory:
    """A home's own record, in its journal. Raises JournalError."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def use(self, ledger: Ledger) -> None:
        """Remember the ledger's newest charge: something that was made by then is used from now on."""
        charges = ledger.charges()
        if not charges:
            return
        there = {charge.hash for charge in charges}
        with self._journal.transaction():
            for used in self._used():
                if used in there:
                    self._journal.delete(_USED + used)
            self._journal.put(_USED + charges[-1].hash, ledger.path.name)

    def missing(self, ledger: Ledger) -> list[Gap]:
        """What the ledger has lost since it was used: it was restored, replaced, or is another one."""
        there = {charge.hash for charge in ledger.charges()}
        told = f"the ledger {ledger.path} does not have a charge that this home has used"
        gone = [Gap(f"charge/{used}", told) for used in self._used() if used not in there]
        return [*gone, *(lost_release(error) for error in ledger.lost())]

    def unknown(self, content: str, gaps: Sequence[Gap]) -> list[Gap]:
        """Return the gaps that the owner has not counted for this content of a data set."""
        known: Collection[str] = self._journal.get(_KNOWN + content, [])
        return [gap for gap in gaps if gap.name not in known]

    def accept(self, content: str, gaps: Sequence[Gap]) -> None:
        """Remember that the owner has counted these for a content."""
        with self._journal.transaction():
            known = self._journal.get(_KNOWN + content, [])
            more = [gap.name for gap in self.unknown(content, gaps)]
            self._journal.put(_KNOWN + content, [*known, *more])

    def check(self, name: str, content: str, gaps: Sequence[Gap]) -> None:
        """Check that nothing is missing which the owner has not counted. Raises ConsentError."""
        if unknown := self.unknown(content, gaps):
            more = f" (and {count(len(unknown) - 1, 'thing')} more)" if len(unknown) > 1 else ""
            raise ConsentError(
                f"privacy: data set {name!r}: {unknown[0].told}{more}; releases may have been made that are "
                "not counted here, and noise that is drawn twice is half the privacy",
                hint="put the newest copy of this home, or of the ledger, back in place; or count the most "
                f"that may have been spent, and go on: `mine data budget {name} --spent EPSILON` (0 if "
                "nothing was released there)",
            )

    def _used(self) -> list[str]:
        return [key.removeprefix(_USED) for key, _ in self._journal.items(_USED)]
