"""Who counts as one, as it is carried from round to round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sonar.settling.verdict import twins_of

mines = st.sampled_from("abcdefgh")
rounds = st.lists(st.dictionaries(mines, mines, max_size=4), max_size=4)


@given(rounds, st.frozensets(mines))
def test_twins_are_those_that_pairs_join(told: list[dict[str, str]], holding: frozenset[str]) -> None:
    found = twins_of(told, holding)
    joined = {mine: {mine} for mine in "abcdefgh"}
    for _ in joined:
        for a, b in (pair for each in told for pair in each.items()):
            joined[a] |= joined[b]
            joined[b] |= joined[a]
    for mine in holding:
        others = joined[mine] & holding
        assert found.get(mine) == (min(others) if len(others) > 1 else None)
    assert found.keys() <= holding


@given(rounds, st.frozensets(mines, min_size=8))
def test_what_was_found_once_can_be_told_again(told: list[dict[str, str]], holding: frozenset[str]) -> None:
    """What a round records holds what earlier rounds did: an auditor who reads it finds the same."""
    once = twins_of(told, holding)
    assert twins_of([once], holding) == once
    assert twins_of([*told, once], holding) == once
