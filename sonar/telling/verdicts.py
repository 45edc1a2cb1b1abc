"""What `sonar verify BOUNTY` and `mine verify` answer: what was checked of each round, and what is false.

A finding is one of three kinds. "false": two things that must agree do not. "unknown": something could not be
checked, since the store does not have it any more, or the chain's node does not tell it. "note": something
that is wrong by itself and was rightly not counted, or that no public record can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Literal

from sonar.protocol.ids import Address
from sonar.telling.documents import document
from sonar.telling.tables import print_named, print_table, print_text
from sonar.telling.text import count, short

Kind = Literal["false", "unknown", "note"]
EXIT_UNKNOWN, EXIT_FALSE = 3, 4
"""How the commands end if something could not be checked, or is false; other faults have 1 and 2."""
POSTING = "posting"
GROUPS = ("record", "seals", "model", "updates", "cohort", "evidence", "payments", "signature")
"""What is checked of a round, in the order of the table. Of the bounty as it was posted it is `POSTING`."""
_MOST_SHOWN = 12
"""So many findings of one kind in one round are shown to people; programs get all."""


@document
class Finding:
    """Something that does not hold, or could not be checked. `group` is one of `GROUPS` or `POSTING`."""

    kind: Kind
    group: str
    field: str
    expected: str = ""
    found: str = ""


@document
class RoundVerified:
    """What was found of a round, or in round 0 of the bounty as it was posted.

    `held`: how many checks of each group hold. `signed_by`: whose signatures the settlement carries.
    """

    round: int
    ended: str
    held: dict[str, int]
    findings: list[Finding]
    signed_by: list[Address] = field(default_factory=list)


@document
class BountyVerified:
    """A bounty, checked from chain and store. `result`: "holds", "unknown" or "false", the worst of all.

    `auditors`: the accounts of which `threshold` must sign each settlement, if the bounty is audited.
    """

    bounty: str
    chain_id: int
    contract: Address
    scientist: Address
    result: Literal["holds", "unknown", "false"]
    held: int
    rounds: list[RoundVerified]
    auditors: list[Address] = field(default_factory=list)
    threshold: int = 0


def result_of(rounds: Sequence[RoundVerified]) -> Literal["holds", "unknown", "false"]:
    """Return the worst that was found."""
    kinds = {finding.kind for one in rounds for finding in one.findings}
    return "false" if "false" in kinds else "unknown" if "unknown" in kinds else "holds"


def exit_code(told: BountyVerified) -> int:
    """Return how a command ends that has told this."""
    return {"holds": 0, "unknown": EXIT_UNKNOWN, "false": EXIT_FALSE}[told.result]


def print_verified(told: BountyVerified, *, wide: bool = False) -> None:
    """Print the table of rounds, what does not hold, and what could not be checked."""
    posting, rounds = told.rounds[0], told.rounds[1:]
    print_named(
        [
            ("bounty", f"{told.bounty} of {told.scientist}"),
            ("contract", f"{told.contract} on chain {told.chain_id}"),
            ("posting", _cell(posting, POSTING) or "nothing was checked"),
            *_auditors(told),
        ]
    )
    if rounds:
        print()
        columns = ("round", "ended", *GROUPS, "signed by")
        print_table(
            columns,
            [list(_line(one, wide=wide)) for one in rounds],
            right=("round",),
            spare=("seals", "record", "model"),
            wide=wide,
        )
    for kind, heading in _HEADINGS.items():
        _print_findings(told.rounds, kind, heading)
    print()
    print_text(_in_words(told))


_HEADINGS: dict[Kind, str] = {
    "false": "FALSE:",
    "unknown": "could not be checked:",
    "note": "noted:",
}


def _auditors(told: BountyVerified) -> Iterator[tuple[str, str]]:
    if told.auditors:
        yield "auditors", f"{told.threshold} of {len(told.auditors)} sign: {', '.join(told.auditors)}"


def _line(one: RoundVerified, *, wide: bool) -> Iterator[str]:
    yield str(one.round)
    yield one.ended
    for group in GROUPS:
        yield _cell(one, group)
    yield ", ".join(account if wide else short(account) for account in one.signed_by)


def _cell(one: RoundVerified, group: str) -> str:
    """How many checks of a group hold, are false, or could not be made; empty for none."""
    kinds = [finding.kind for finding in one.findings if finding.group == group]
    parts = [f"{one.held[group]} hold"] if one.held.get(group) else []
    parts += [f"{kinds.count('false')} FALSE"] if "false" in kinds else []
    parts += [f"{kinds.count('unknown')} unknown"] if "unknown" in kinds else []
    return ", ".join(parts)


def _print_findings(rounds: Sequence[RoundVerified], kind: Kind, heading: str) -> None:
    if not any(finding.kind == kind for one in rounds for finding in one.findings):
        return
    print()
    print_text(heading)
    for one in rounds:
        found = [finding for finding in one.findings if finding.kind == kind]
        for finding in found[:_MOST_SHOWN]:
            print_text(f"{_where(one)}, {finding.field}: {_told(finding)}", indent=2)
        if (rest := len(found) - _MOST_SHOWN) > 0:
            print_text(f"{_where(one)}: and {rest} more, which --json tells", indent=2)


def _where(one: RoundVerified) -> str:
    return f"round {one.round}" if one.round else POSTING


def _told(finding: Finding) -> str:
    if finding.kind == "false":
        return f"expected {finding.expected}, found {finding.found}"
    return finding.found


def _in_words(told: BountyVerified) -> str:
    kinds = [finding.kind for one in told.rounds for finding in one.findings]
    held = f"{count(told.held, 'check')} hold"
    match told.result:
        case "false":
            return f"{count(kinds.count('false'), 'check')} FALSE; {held}, {kinds.count('unknown')} not made"
        case "unknown":
            return f"nothing is false; {held}, and {kinds.count('unknown')} could not be made"
    return f"all {held}"
