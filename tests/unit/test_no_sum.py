"""A round whose sum is out of range: who must tell it, what the evidence says, and what anybody can check."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.ids import Address, BountyId, Cid, Digest
from sonar.settling.evidence import Place, Settled, evidence_of
from sonar.settling.verdict import NO_SUM, SPARED, Verdict, is_for_good
from sonar.veil.classes import MAX_MEMBERS, Classes
from sonar.verifying.findings import Findings
from sonar.verifying.settled import check_summed

MINES = [Address("0x" + f"{i:02x}" * 20) for i in range(1, 6)]
HERE = Place(7, Address("0x" + "1" * 40), BountyId(b"b" * 32), 1)
OLD, NEW = (Cid("dag-cbor", Digest(name * 32)) for name in (b"o", b"n"))


# ---- who must have told it


@given(st.integers(1, MAX_MEMBERS), st.data())
def test_no_fewer_than_the_threshold_can_make_up_what_is_witnessed(members: int, data: st.DataObject) -> None:
    """Whichever members lie, fewer than the threshold: of each class somebody else told, or all there are."""
    classes = Classes(members, data.draw(st.integers(1, members)))
    told = data.draw(st.sets(st.integers(0, members - 1)))
    if not classes.witnessed(told):
        assert classes.unwitnessed(told)
        return
    for liars in combinations(range(members), classes.threshold - 1):
        for number in range(classes.count):
            holders = set(classes.holders(number))
            assert holders & told - set(liars) or holders <= told


def test_of_two_of_three_all_must_have_told_unless_one_is_sure() -> None:
    classes = Classes(3, 2)
    assert not classes.witnessed([0, 1])
    assert classes.witnessed([0, 1, 2])
    assert classes.unwitnessed([0, 1], sure=[0]) == [classes.without.index((0,))]
    assert Classes(2, 2).witnessed([0, 1])  # there is nobody else
    assert not Classes(5, 3).witnessed([0, 1, 2])


# ---- what the evidence says


def before() -> Verdict:
    return Verdict(list(MINES[:4]), {MINES[4]: SPARED}, {})


def evidence(verdict: Verdict, aggregate: bytes = b"", new: Cid = OLD) -> EvidenceManifest:
    settled = Settled(
        digests={mine: bytes([i]) * 32 for i, mine in enumerate(MINES)},
        rows=dict.fromkeys(MINES, 40),
        verdict=verdict,
        shares=dict.fromkeys(map(str, MINES), 0),
        models=(OLD, new),
        losses=(9, 9),
        aggregate=aggregate,
    )
    return evidence_of(HERE, settled)


def test_whoever_spoiled_it_goes_for_good_and_the_others_are_told_why() -> None:
    verdict = before().without_sum({MINES[1]: "range"})
    found = {member.mine: (member.accepted, member.reason) for member in evidence(verdict).cohort}
    spoiler = found.pop(MINES[1])
    assert spoiler[0] is False
    assert is_for_good(spoiler[1])
    assert found == dict.fromkeys([MINES[0], *MINES[2:4]], (True, NO_SUM)) | {MINES[4]: (False, SPARED)}
    assert verdict.for_good == {MINES[1]: spoiler[1]}


# ---- what anybody can check


def found(told: EvidenceManifest, mines: list[Address]) -> list[tuple[str, str]]:
    addends = tuple(Addend(mine=m, update=Digest(bytes([i]) * 32), weight=9) for i, m in enumerate(mines))
    place = HERE.chain_id, HERE.contract, HERE.bounty, HERE.round
    cohort = CohortManifest(
        chain_id=place[0], contract=place[1], bounty=place[2], round=place[3], addends=addends
    )
    findings = Findings(1)
    check_summed(findings, told, cohort, fixed=True, veiled=True)
    return [(one.kind, one.field) for one in findings.told("settled").findings]


def test_a_mine_that_was_fixed_may_be_left_out_of_a_sum_that_is_none() -> None:
    verdict = before().without_sum({MINES[1]: "range"})
    assert found(evidence(verdict), MINES[:4]) == [("note", "sum")]


LIES: dict[str, Callable[[], EvidenceManifest]] = {
    "another model": lambda: evidence(before().without_sum({MINES[1]: "range"}), new=NEW),
    "an aggregate": lambda: evidence(before().without_sum({MINES[1]: "range"}), aggregate=b"a" * 32),
    "no reason": lambda: evidence(Verdict([MINES[0], *MINES[2:4]], {MINES[1]: "x", MINES[4]: SPARED}, {})),
}


@pytest.mark.parametrize("lie", LIES)
def test_else_who_was_fixed_must_be_accepted(lie: str) -> None:
    assert found(LIES[lie](), MINES[:4]) == [("false", "mines accepted")]


def test_nobody_may_be_accepted_who_was_not_fixed() -> None:
    told = evidence(before().without_sum({}))
    assert found(told, MINES[:3]) == [("false", "mines accepted beside the cohort"), ("note", "sum")]
