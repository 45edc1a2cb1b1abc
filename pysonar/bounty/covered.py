"""Who could read what in a bounty, in the scientist's words: with capsules and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonar.families.registry import family_of
from sonar.telling.text import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pysonar.bounty.base import AnyBounty
    from pysonar.keys.ledger import Revealed

WHO = ("you, with this program", "you, with other software", "a mine", "other mines", "everybody")
CAPSULE = "a capsule"
_TOLD_FOR = {
    False: "for tests and scores",
    True: "of which most are asked only if a sum is out of range, to tell whose doing it is",
}
"""What bits of single answers are for, by whether everybody sees the question."""


def readers(bounty: AnyBounty) -> list[str]:
    """Return who could read single answers, in lines."""
    asked, least = bounty.settings.capsules, bounty.offer.terms.min_mines
    visible = family_of(bounty.design.spec).visible
    own = "sums" if visible else "A and b"
    if asked is None:
        noise = ", with its noise" if family_of(bounty.design.spec).price(bounty.design.spec) else ""
        return [
            "in plain words: you hold the key, so software other than this could open each mine's "
            f"{own}{noise} ([capsules] ends this), and min_mines counts {least} addresses, not people"
        ]
    held = "all that the network lists" if asked.members is None else count(len(asked.members), "capsule")
    lines = [
        f"in plain words: no software of yours can open a mine's {own}, unless {asked.threshold} capsules "
        f"help it ({asked.threshold} of {held}); each tells at most {asked.bits} bits of an answer, "
        f"{_TOLD_FOR[visible]}; and min_mines counts {least} addresses, not people",
        "each capsule: who answers when, and masks; never data, nor your key",
    ]
    if visible:
        lines.append(
            "single answers are not tested behind capsules, and the same data under several addresses count "
            "as several mines: nobody sees that two answers are equal"
        )
    if asked.audited:
        lines.append(
            "since they audit, each capsule also sees the weights, your holdout and the pooled sums; and "
            f"{asked.threshold} capsules together, without you, could then read the answers"
        )
    return lines


def waits(bounty: AnyBounty) -> list[str]:
    """Return what a bounty waits for that capsules do, in lines."""
    asked = bounty.settings.capsules
    if asked is None:
        return []
    lines = [
        f"with fewer than {asked.threshold} capsules reachable no sum is opened; if that lasts beyond the "
        "settle window, the bounty ends as Overdue, with what is due then"
    ]
    if asked.audited:
        lines.append(
            f"each settlement waits until {asked.threshold} capsules have recomputed and signed it: their "
            "committee is the settler"
        )
    return lines


def gas(bounty: AnyBounty) -> str:
    """Return which transactions of yours cost gas."""
    asked = bounty.settings.capsules
    told = "for posting, one settlement per round, and one withdrawal"
    if asked is None:
        return told
    told = "for posting, two transactions per round (one fixes whose answers are summed), and one withdrawal"
    once = "; and once for the capsules' committee, unless the same capsules had a bounty before"
    return told + once if asked.audited else told


def learned(
    bounty: AnyBounty, aggregates: int, revealed: Mapping[str, Revealed]
) -> dict[str, dict[str, str]]:
    """Return what each party has learned after this many aggregates: by subject, then by party."""
    needed, asked = bounty.rounds_to_all, bounty.settings.capsules
    pooled = "all" if aggregates >= needed else f"{aggregates} of {needed} parts"
    bits = max((each.score_bits for each in revealed.values()), default=0)
    visible = family_of(bounty.design.spec).visible
    tested = f"{bits} bits of scores, and yes/no tests"
    hidden = "all" if visible else "encrypted"
    known = {
        "the question" if visible else "the weights": ("all", "all", hidden, hidden, hidden),
        "sums over all mines' data": (pooled, "all", "no", "no", "no"),
        "sums over one mine's data": (tested, "all", "its own", "no", "no"),
        "single rows": ("no", "often", "its own", "no", "no"),
        "row counts, losses, payments": ("all",) * len(WHO),
    }
    if asked is None:
        return {what: dict(zip(WHO, texts, strict=True)) for what, texts in known.items()}
    told = max((each.told_bits for each in revealed.values()), default=0)
    opened = "all" if asked.audited else "encrypted"
    known["sums over all mines' data"] = (pooled, pooled, "no", "no", "no")
    known["sums over one mine's data"] = (
        f"{told} bits" if visible else tested,
        f"{told} bits",
        "its own",
        "no",
        "no",
    )
    known["single rows"] = ("no", "no", "its own", "no", "no")
    seen = {
        "the question": "all",
        "the weights": opened,
        "sums over all mines' data": pooled if asked.audited else "no",
        "sums over one mine's data": "no",
        "single rows": "no",
        "row counts, losses, payments": "all",
    }
    return {what: dict(zip(WHO, texts, strict=True)) | {CAPSULE: seen[what]} for what, texts in known.items()}
