"""A campaign's standing before a round: folded from the records, each round once."""

from __future__ import annotations

from typing import Any

from pysonar.bounty.base import AnyBounty, AnyDesign
from pysonar.bounty.kinds.fields import StudySettings
from pysonar.campaign.records import Cohort, Outcome, Records
from pysonar.models.linear import LinearModel
from pysonar.models.ridge import with_ridge
from sonar.errors import EnvironmentFault
from sonar.families.base import ACourse
from sonar.families.registry import family_of
from sonar.settling.verdict import WITHHELD, Verdict, gone_since


class Standing:
    """The result of the rounds so far.

    `course`: where the weights have been. `rows`: how many a mine said that it has, with its first update.
    `withheld`: the mines with a missing update. `gone`: who is left out for good, and why.
    """

    def __init__(self, records: Records, design: AnyDesign) -> None:
        self._records, self._design = records, design
        self._cohorts: dict[frozenset[str], frozenset[str]] = {}
        self._number = 1
        self._begin()

    def before(self, number: int) -> Standing:
        """Take in the rounds up to `number`, and return itself as it stands before that round."""
        if number < self._number:
            self._number = 1
            self._begin()
        for past in range(self._number, number):
            self._take_in(past)
        self._number = number
        return self

    def _begin(self) -> None:
        self.course = _start(self._design)
        self.rows: dict[str, int] = {}
        self.withheld: set[str] = set()
        self.gone: dict[str, str] = {}

    def _take_in(self, number: int) -> None:
        self.course = _longer(self.course, self._records, self._design, number, self._cohorts)
        cohort: Cohort | None = self._records.get(Cohort, number)
        for mine in cohort.digests if cohort else ():
            update = self._records.update(number, mine)
            if update is not None and update.links:
                self.rows.setdefault(mine, update.rows)
            elif update is not None and update.reason == WITHHELD:
                self.withheld.add(mine)
        verdict: Verdict | None = self._records.get(Verdict, number)
        for mine, reason in (verdict.for_good if verdict else {}).items():
            self.gone.setdefault(mine, gone_since(number, reason))


def course_of(records: Records, design: AnyDesign, before: int) -> ACourse:
    """Return where a campaign's weights had been when round `before` began."""
    course, cohorts = _start(design), dict[frozenset[str], frozenset[str]]()
    for number in range(1, before):
        course = _longer(course, records, design, number, cohorts)
    return course


def _start(design: AnyDesign) -> ACourse:
    start: ACourse = family_of(design.spec).start(design)
    return start


def _longer(
    course: ACourse,
    records: Records,
    design: AnyDesign,
    number: int,
    cohorts: dict[frozenset[str], frozenset[str]],
) -> ACourse:
    """Return the course with the outcome of round `number`, if the weights moved.

    Equal cohorts share one set object.
    """
    outcome: Outcome | None = records.get(Outcome, number)
    if outcome is None or not outcome.sums:
        return course
    verdict: Verdict = records.get(Verdict, number)
    accepted = frozenset(verdict.accepted)
    accepted = cohorts.setdefault(accepted, accepted)
    family = family_of(design.spec)
    seen = family.seen(design, course, number, outcome.sums, outcome.rows, accepted)
    moved: ACourse = seen.moved(family.replayed(outcome.weights, outcome.coefficients, outcome.loss))
    return moved


def found_in(records: Records, bounty: AnyBounty) -> Any:
    """Return what a campaign has found so far: its best model, or what its statistic says.

    Raises EnvironmentFault if no sum was opened, or not the last one of a statistic; DataError for sums that
    allow no answer; JournalError if the records are an older copy.
    """
    records.check_age()
    course = course_of(records, bounty.design, 1 + records.finished())
    if not course.begun:
        nothing = "there is no result" if isinstance(bounty.settings, StudySettings) else "nothing is trained"
        raise EnvironmentFault(
            f"no round of {bounty.settings.name!r} was settled with an update: {nothing}",
            hint="`pysonar status` shows how each round ended; what no mine earned comes back",
        )
    return bounty.found(course)


def ridge_of(records: Records, bounty: AnyBounty) -> LinearModel:
    """Return the model with the best ridge of a campaign that has trained one. Raises as `found_in`."""
    design: Any = bounty.design
    course: Any = course_of(records, design, 1 + records.finished())
    return with_ridge(design, course)
