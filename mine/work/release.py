"""The noise on a data set's sums, added once, before anything is made of them.

Theory of operation. What a bounty asks for has a name, from all that determines its noisy sums
(`Ledger.release_name`). If the ledger has that release, its sums are used again, for every later question,
bounty and start of the program, and nothing more is learned of the rows. (Shared noise has another name in
each bounty: `Task.sums_id`.) Else, in this order:

    check    the budget, and that nothing is missing from the records of this home
    sums     of the rows, exact
    noise    drawn from the system's source
    record   charge and noisy sums, in one transaction of the ledger; if another process was first, its count
    make     (A, b) of the recorded sums
    join     in the home's journal, with the newest charge that the home has used

Until it is recorded nobody has seen the noise, so that a kill before that may draw anew. After it, the same
noise is found again. Only joining a bounty draws; whatever comes later finds what was drawn, or refuses.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mine.data.dataset import DataSet
from mine.privacy.accounts import Asked, Privacy
from mine.privacy.ledger import RESTORE, Charge, Ledger, Release, ReleaseLost, Shown, content_of
from mine.privacy.memory import Gap
from sonar.errors import ConsentError
from sonar.families.base import Prepared
from sonar.families.registry import AnyFamily, FamilySpec
from sonar.paillier.slots import SlotPlan
from sonar.privacy.release import noisy


@dataclass(frozen=True)
class Drawing:
    """What a new release may be drawn for: joining a bounty, at `at_s` by the chain's clock.

    `elsewhere` tells what this home's account has done that the home does not know.
    """

    privacy: Privacy
    asked: Asked
    bounty: str
    scientist: str
    network: str
    at_s: int
    elsewhere: Callable[[], Sequence[Gap]]

    def release(self, name: str, family: AnyFamily, spec: FamilySpec, dataset: DataSet) -> Release:
        """Return the release of this name, drawn now if there is none. Raises ConsentError, DataError."""
        ledger, privacy = self.privacy.ledger, self.privacy
        found = None
        with suppress(ReleaseLost):  # it is a gap, as others are
            found = ledger.release(name)
        privacy.check(dataset, self.asked)
        if found is not None:
            return found
        gaps = [*privacy.memory.missing(ledger), *self.elsewhere()]
        privacy.memory.check(dataset.name, content_of(dataset), gaps)
        price = family.price(spec)
        assert price is not None
        sums = family.sums(spec, family.read(spec, dataset))
        drawn = Release(tuple(noisy(sums, price.parts, secrets.token_bytes)), sums.rows)
        charge = Charge(
            content_of(dataset),
            dataset.name,
            price.rho,
            self.at_s,
            price.parts,
            name,
            clipped=sums.clipped,
            bounty=self.bounty,
            scientist=self.scientist,
            network=self.network,
        )
        return privacy.spend(dataset, self.asked, charge, drawn)

    def show(self, name: str) -> None:
        """Record that the bounty is told of the release."""
        self.privacy.ledger.show(Shown(name, self.bounty, self.scientist, self.network, self.at_s))


def released(
    name: str,
    family: AnyFamily,
    spec: FamilySpec,
    plan: SlotPlan,
    dataset: DataSet,
    ledger: Ledger,
    drawing: Drawing | None = None,
) -> Prepared:
    """Return what answers are made of in a bounty with noise, from the release `name`.

    Without `drawing`, nothing new is released. Raises ConsentError, BoundsError, DataError, JournalError.
    """
    found = drawing.release(name, family, spec, dataset) if drawing else ledger.release(name)
    if found is None:
        raise ConsentError(
            f"privacy: the ledger {ledger.path} has lost the noisy sums of data set {dataset.name!r} that "
            "this bounty was joined with, and noise that is drawn twice is half the privacy",
            hint=f"{RESTORE}; or `mine leave` the bounty",
        )
    prepared: Prepared = family.released(spec, plan, found.values, found.rows)
    if drawing is not None:
        drawing.show(name)
    return prepared
