"""What scientist and auditors compute alike: draws, verdicts that last, fees of the spared, settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ManifestError
from sonar.families.quadratic.inspection import ROUND_ONLY, TESTS
from sonar.families.quadratic.optimisers.gradient_descent import GradientDescentWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.quadratic.optimisers.registry import MAX_SETTINGS_BYTES, read, written
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.lots import Lots
from sonar.settling.shares import with_fees
from sonar.settling.verdict import Found, is_for_good, verdict_of

PLAN = SlotPlan.make(key_bits=1024, weights=3, bounds=Bounds(9, 9, 9), mines_max=9, weight_rows=9)
MINES = [f"0x{i:040x}" for i in range(1, 8)]
REVEALS = {mine: bytes([i]) * 32 for i, mine in enumerate(MINES)}


def test_draws_follow_from_bounty_round_purpose_and_all_reveals_alone() -> None:
    def first(
        purpose: str = "tests",
        bounty: bytes = b"b" * 32,
        round: int = 3,
        other: Mapping[str, bytes] = REVEALS,
    ) -> int:
        return Lots(purpose, bounty, round, REVEALS | dict(other)).draw(64)

    turned = dict(reversed(REVEALS.items()))
    assert first() == first() == Lots("tests", b"b" * 32, 3, turned).draw(64)
    others = [first("set"), first(bounty=b"c" * 32), first(round=4), first(other={MINES[0]: b"x" * 32})]
    assert len({first(), *others}) == 5
    assert Lots("tests", b"b" * 32, 3, dict(list(REVEALS.items())[1:])).draw(64) != first()


def test_draws_are_those_of_any_other_implementation() -> None:
    lots = Lots("set", b"b" * 32, 1, {"0x" + "11" * 20: b"u" * 32, "0x" + "02" * 20: b"v" * 32})
    assert [lots.draw(8), lots.draw(300) >> 260, lots.below(1000)] == PINNED


PINNED = [110, 1069749619439, 808]


def test_draws_are_even() -> None:
    lots = Lots("set", b"b" * 32, 1, REVEALS)
    counts = Counter(lots.below(5) for _ in range(5000))
    assert set(counts) == set(range(5))
    assert max(counts.values()) < 1150


@given(st.lists(st.integers(0, 5000), min_size=4, max_size=7), st.integers(1, 3))
def test_the_spared_get_one_basis_point_each_from_who_has_most(parts: list[int], count: int) -> None:
    spared = MINES[:count]
    shares = dict(zip(MINES[count:], parts, strict=False)) | dict.fromkeys(spared, 0)
    found = with_fees(shares, spared)
    assert sum(found.values()) == sum(shares.values())
    rich = max(shares.values())
    if rich > count:
        assert all(found[mine] == 1 for mine in spared)
        assert all(shares[mine] - found[mine] <= count for mine in shares if mine not in spared)
    if not rich:
        assert found == shares
    assert all(found[mine] >= min(shares[mine], 1) for mine in shares)


@pytest.mark.parametrize("test", TESTS)
def test_an_auditor_reads_from_a_reason_whether_it_lasts(test: str) -> None:
    found = Found(MINES, {}, {MINES[0]: test}, {}, {}, {})
    verdict = verdict_of(found, PLAN, [])
    reason = verdict.left_out[MINES[0]]
    assert is_for_good(reason) == (MINES[0] in verdict.for_good) == (test not in ROUND_ONLY)


def test_rows_and_copies_last_and_the_rest_does_not() -> None:
    changed, copies = (
        {MINES[0]: "rows: 9 rows, and 8 before"},
        {MINES[1]: "copy: the same ciphertexts as another mine's"},
    )
    verdict = verdict_of(Found(MINES, {MINES[2]: "malformed: x"}, {}, changed, copies, {}), PLAN, [])
    lasting = {mine for mine, why in verdict.left_out.items() if is_for_good(why)}
    assert lasting == set(verdict.for_good) == {MINES[0], MINES[1]}


def test_settings_have_one_encoding() -> None:
    for wish in (GradientMemoryWish(), GradientMemoryWish(precondition=False), GradientDescentWish(rate=0.1)):
        data = written("r2", wish)
        assert read(data) == ("r2", wish)
        assert written(*read(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"metric": "r2", "optimiser": {"kind": "gradient-memory", "precondition": true}}',
        b'{"metric":"r2","optimiser":{"kind":"newton"}}',
        b'{"metric":2,"optimiser":{"kind":"gradient-memory","precondition":true}}',
        b'{"metric":"r2","optimiser":{"kind":"gradient-descent","rate":1e400}}',
        b"[" * 4000,
        b" " * (MAX_SETTINGS_BYTES + 1),
    ],
    ids=range(9),
)
def test_settings_of_anyone_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ManifestError, match="optimiser"):
        read(data)
