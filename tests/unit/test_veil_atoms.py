"""Laws of the sets that may be opened, against brute force over all sets."""

from __future__ import annotations

from itertools import chain, combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import UsageError
from sonar.veil.atoms import Atoms, Mines, choose, weight_fault

MINES = [f"0x{i:040x}" for i in range(8)]
sets = st.frozensets(st.sampled_from(MINES), min_size=1)
histories = st.lists(sets, max_size=4)


def generated(opened: list[Mines]) -> set[Mines]:
    """The least non-empty sets of the algebra: closed under meets and differences, by force."""
    algebra = set(opened)
    while True:
        more = {x for a in algebra for b in algebra for x in (a & b, a - b)} - {frozenset()}
        if more <= algebra:
            return {a for a in algebra if not any(b < a for b in algebra)}
        algebra |= more


def allowed(opened: list[Mines], new: Mines, least: int) -> bool:
    """By the definition: no atom below `least` that was not there before."""
    made = generated([*opened, new]) - generated(opened)
    return len(new) >= least and all(len(atom) >= least for atom in made)


def subsets(mines: Mines) -> list[Mines]:
    some = sorted(mines)
    sizes = range(len(some), -1, -1)
    return [frozenset(x) for x in chain.from_iterable(combinations(some, size) for size in sizes)]


@given(histories)
def test_atoms_are_those_of_the_generated_algebra(opened: list[Mines]) -> None:
    atoms = Atoms(opened).atoms
    assert set(atoms) == generated(opened)
    assert len(atoms) == len(set(atoms))
    assert sorted(chain.from_iterable(atoms)) == sorted(frozenset().union(*opened))


@given(histories, sets, st.integers(1, 4))
def test_a_set_is_refused_if_it_makes_a_small_atom(opened: list[Mines], new: Mines, least: int) -> None:
    fault = Atoms(opened).fault(new, least)
    assert (fault == "") == allowed(opened, new, least)


@given(histories, sets, st.integers(1, 4), st.integers(0, 2**32))
def test_choose_finds_a_largest_set(opened: list[Mines], candidates: Mines, least: int, seed: int) -> None:
    """As large as the largest of all sets of candidates, whatever was opened before."""
    chosen = choose(opened, candidates, least, Random(seed).randrange)
    assert chosen <= candidates
    assert not chosen or allowed(opened, chosen, least)
    best = next((s for s in subsets(candidates) if allowed(opened, s, least)), frozenset())
    assert len(chosen) == len(best)


@given(histories, sets, st.integers(1, 4), st.integers(0, 2**32))
def test_choose_follows_from_the_lots(opened: list[Mines], candidates: Mines, least: int, seed: int) -> None:
    once = choose(opened, candidates, least, Random(seed).randrange)
    again = choose(opened[::-1], frozenset(sorted(candidates)[::-1]), least, Random(seed).randrange)
    assert once == again


def test_lots_decide_who_is_left_out() -> None:
    """Each of nine that are present of ten is left out about as often: two of nine."""
    everyone = frozenset([*MINES, "x", "y"])
    out = dict.fromkeys(everyone - {"y"}, 0)
    for seed in range(900):
        chosen = choose([everyone], everyone - {"y"}, 3, Random(seed).randrange)
        assert len(chosen) == 7
        for mine in out.keys() - chosen:
            out[mine] += 1
    assert all(140 < times < 260 for times in out.values())


def test_a_campaign_with_absences_goes_on() -> None:
    """Ten mines, a least group of 3, one in ten absent: four of five answers enter."""
    everyone = [f"m{i}" for i in range(10)]
    present_all = entered = lost = 0
    for seed in range(300):
        random, opened = Random(seed), list[Mines]()
        for _ in range(8):
            present = frozenset(mine for mine in everyone if random.random() > 0.1)
            chosen = choose(opened, present, 3, random.randrange)
            assert not chosen or Atoms(opened).fault(chosen, 3) == ""
            opened += [chosen] if chosen else []
            present_all, entered, lost = (
                present_all + len(present),
                entered + len(chosen),
                lost + (not chosen),
            )
    assert entered / present_all > 0.72
    assert lost / 2400 < 0.03


def test_the_fault_names_who_would_stand_alone() -> None:
    atoms = Atoms([frozenset(MINES)])
    assert MINES[7] in atoms.fault(frozenset(MINES[:7]), 3)
    assert "and 1 more" in atoms.fault(frozenset(MINES[:6]), 3)
    assert "has 2 mines; the least that may be opened together is 3" in atoms.fault(frozenset(MINES[:2]), 3)
    with pytest.raises(UsageError, match="at least 1"):
        choose([], frozenset(MINES), 0, lambda bound: 0)


def test_different_weights_are_refused() -> None:
    atom = frozenset("abcd")
    assert weight_fault([atom], dict.fromkeys("abcd", 50)) == ""
    fault = weight_fault([atom], {"a": 1, "b": 50, "c": 50, "d": 50})
    assert "from 1 to 50, would tell their answers apart: give all the same weight" in fault
    assert weight_fault([atom], {"a": 49, "b": 51, "c": 50, "d": 53})
    assert weight_fault([frozenset("ab"), frozenset("cd")], {"a": 1, "b": 1, "c": 50, "d": 50}) == ""
