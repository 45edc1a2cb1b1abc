"""Who is left out of a round, for how long and why: rules over what is public, and what the tests said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sonar.families.registry import ROUND_ONLY, WHY
from sonar.paillier.cohort import Weighed, weights_of
from sonar.paillier.slots import SlotPlan

REASON_MAX = 200
TWIN = "twin: the same data under several addresses count as one"
WITHHELD = "withheld: revealed, but not in the store"
MALFORMED = "malformed: "
COPY = "copy: the same ciphertexts as another mine's"
SPARED = "privacy: with it, the sums opened so far would single out too few mines; it is paid its fee"
"""Why a mine is left out though nothing is wrong with it (`sonar.veil.atoms`)."""
NO_SUM = "no sum: of all answers together it is out of range, so nothing was learnt; fees are shared"
"""Why an accepted mine earns no reward in a round whose sum is out of range."""
VEIL = "veil"
"""The test that an update fails of whose masks too few capsules can tell anything."""
PASSING = ROUND_ONLY | {VEIL}
"""The tests that count for their round only."""
_WHY = {**WHY, VEIL: "too few capsules can open its envelopes, so nobody can tell its masks"}
GONE = "left out since round "


@dataclass(frozen=True)
class Verdict:
    """Who is aggregated.

    `left_out`: mine -> reason. `for_good`: those of them that are left out of all later rounds as well.
    `twins`: who counts as one: by mine that has any, the first address of its group. `no_sum`: the sum
    that was fixed was opened, and is out of range.
    """

    accepted: list[str]
    left_out: dict[str, str]
    for_good: dict[str, str]
    twins: dict[str, str] = field(default_factory=dict)
    no_sum: bool = False

    def without_sum(self, spoilers: Mapping[str, str]) -> Verdict:
        """Return the verdict of a round whose sum is out of range.

        `spoilers`: by mine the test that its answer fails. These mines are left out for good.
        """
        gone = {mine: f"test {test}: {_WHY[test]}" for mine, test in spoilers.items()}
        accepted = [mine for mine in self.accepted if mine not in gone]
        left_out, for_good = {**self.left_out, **gone}, {**self.for_good, **gone}
        return Verdict(accepted, left_out, for_good, dict(self.twins), no_sum=True)


@dataclass(frozen=True)
class Found:
    """What is known of a round's updates before anybody is accepted.

    `cohort`: the mines that revealed, ascending; `unread`: those without a well-formed update, and why;
    `failed`: the first test that a mine's update failed; `changed`, `copies`: from the functions below.
    """

    cohort: Sequence[str]
    unread: Mapping[str, str]
    failed: Mapping[str, str]
    changed: Mapping[str, str]
    copies: Mapping[str, str]
    twins: Mapping[str, str]


def verdict_of(
    found: Found, plan: SlotPlan, updates: Collection[Weighed], spared: Mapping[str, str] | None = None
) -> Verdict:
    """Return who of a round is accepted. `updates`: the well-formed ones; `spared`: whom the selection leaves
    out, and why (`sonar.settling.selection`).

    A rule that no honest program breaks leaves a mine out for good. A rule that unusual honest data may
    fail, or that a mine fails by coming late, leaves it out of this round.
    """
    told = {mine: f"test {test}: {_WHY[test]}" for mine, test in found.failed.items()}
    for_good = {mine: why for mine, why in told.items() if found.failed[mine] not in PASSING}
    for_good |= {**found.changed, **found.copies}
    left_out = told | for_good | dict(found.unread)
    left_out |= weightless(plan, [one for one in updates if one.mine not in left_out], found.twins)
    left_out |= {mine: why for mine, why in (spared or {}).items() if mine not in left_out}
    accepted = [mine for mine in found.cohort if mine not in left_out]
    return Verdict(accepted, left_out, for_good, dict(found.twins))


def weightless(plan: SlotPlan, updates: Sequence[Weighed], twins: Mapping[str, str]) -> dict[str, str]:
    """Return the twins so numerous that their part of one weight is zero."""
    weights = weights_of(plan, updates, twins)
    return {mine: f"{TWIN}; nothing is left for it" for mine, weight in weights.items() if not weight}


def copied(
    commit_order: Sequence[str], names: Mapping[str, str], senders: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the mines that sent another's ciphertexts; of two in one round, the one that committed later.

    And who sent which ciphertexts first, of those that nobody had sent before. `names`: by mine what names
    its ciphertexts; `senders`: by that name who had sent them in an earlier round.
    """
    first, copies = dict[str, str](), dict[str, str]()
    for mine in commit_order:
        if mine in names:
            owner = senders.get(names[mine]) or first.setdefault(names[mine], mine)
            if owner != mine:
                copies[mine] = COPY
    return copies, first


def rows_changed(rows: Mapping[str, int], before: Mapping[str, int]) -> dict[str, str]:
    """Return the mines that now say another number of rows than they did with their first update."""
    pairs = {mine: (now, before.get(mine, now)) for mine, now in rows.items()}
    return {
        mine: f"rows: {now} rows, and {then} before; data are frozen per bounty"
        for mine, (now, then) in pairs.items()
        if now != then
    }


def gone_since(round: int, reason: str) -> str:
    """Return why a mine that was left out for good in `round` is not looked at any more."""
    return f"{GONE}{round}: {reason}"[:REASON_MAX]


def is_for_good(reason: str) -> bool:
    """Tell whether who was left out for `reason` is left out of all later rounds as well."""
    test = reason.removeprefix("test ").partition(":")[0] if reason.startswith("test ") else ""
    return reason == COPY or reason.startswith("rows: ") or (test in WHY and test not in ROUND_ONLY)


def twins_of(told: Iterable[Mapping[str, str]], holding: Collection[str]) -> dict[str, str]:
    """Return who counts as one among those whose updates hold: by mine that has a twin, the first of its
    group.

    `told`: what was found in this round and in earlier ones, as pairs. Data are frozen per bounty, so twins
    stay twins.
    """
    group: dict[str, frozenset[str]] = {}
    for mine, other in (pair for each in told for pair in each.items()):
        both = group.get(mine, frozenset([mine])) | group.get(other, frozenset([other]))
        group |= dict.fromkeys(both, both)
    there = {mine: group[mine] & set(holding) for mine in sorted(holding) if mine in group}
    return {mine: min(both) for mine, both in there.items() if len(both) > 1}
