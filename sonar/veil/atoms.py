"""Which sets of answers may be opened, given those that were: no small group may ever stand alone.

Two sums over sets that differ by one mine give away that mine's answer, once the pooled sums are known: with
equal weights at once, with others after some rounds. So over a whole bounty the sets that were opened are
looked at together. Mines that were in exactly the same sets form an atom. Whatever is computed from the sums,
linearly or after a model was solved for, is constant on atoms; if every atom has at least `least` mines, so
has every group that can be told from the rest.

Answers are integers, so weights matter too. Of u_1 + 50 u_2 + 50 u_3 + 50 u_4 the remainder modulo 50 is
u_1's alone. And r_1 u_1 + r_2 u_2 + r_3 u_3 with large weights without any common factor is, for small
answers, a knapsack that is solved at once: all three come out. So all mines of an atom weigh the same
(`weight_fault`): then their sum says nothing but the sum of their answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from sonar.errors import UsageError

Mines = frozenset[str]


class Atoms:
    """The atoms of the algebra that the opened `sets` generate: disjoint, and never empty."""

    def __init__(self, sets: Iterable[Mines] = ()) -> None:
        self.atoms: list[Mines] = []
        for opened in sets:
            self.atoms = self.with_set(opened)

    def with_set(self, new: Mines) -> list[Mines]:
        """Return the atoms as they are once `new` is opened too."""
        fresh = new.difference(*self.atoms)
        parts = chain.from_iterable((atom & new, atom - new) for atom in self.atoms)
        return [part for part in (*parts, fresh) if part]

    def fault(self, new: Mines, least: int) -> str:
        """Return why `new` may not be opened, or nothing.

        It may not if it would make an atom of fewer than `least` mines; one that there is already and stays
        whole does not count.
        """
        if len(new) < least:
            return f"the set has {len(new)} mines; the least that may be opened together is {least}"
        known = set(self.atoms)
        for atom in self.with_set(new):
            if len(atom) < least and atom not in known:
                return (
                    f"the sums opened so far and this one would tell {_named(atom)} from all others, and "
                    f"the least group is {least}"
                )
        return ""


def weight_fault(atoms: Iterable[Mines], weights: Mapping[str, int]) -> str:
    """Return why sums that make these atoms, with these weights, may not be opened, or nothing.

    `weights` has all mines of the atoms.
    """
    for atom in atoms:
        found = {weights[mine] for mine in atom}
        if len(found) > 1:
            return (
                f"the weights of {_named(atom)}, from {min(found)} to {max(found)}, would tell their answers "
                "apart: give all the same weight"
            )
    return ""


def choose(opened: Iterable[Mines], candidates: Mines, least: int, lots: Callable[[int], int]) -> Mines:
    """Return a largest set of `candidates` that may be opened after `opened`; empty if there is none.

    `lots(k)` draws from [0, k), and decides who is left out where some must be: of an atom with k mines, all
    may enter, or `least` to k - least. Atoms do not depend on each other, so the largest of each make the
    largest. Raises UsageError for a `least` below 1.
    """
    if least < 1:
        raise UsageError(f"the least group has {least} mines; it must have at least 1")
    atoms = Atoms(opened).atoms
    fresh = candidates.difference(*atoms)
    chosen = set(fresh) if len(fresh) >= least else set()
    for atom in sorted(atoms, key=sorted):
        present = sorted(atom & candidates)
        size = _largest(len(atom), len(present), least)
        while len(present) > size:
            present.pop(lots(len(present)))
        chosen.update(present)
    return frozenset(chosen) if len(chosen) >= least else frozenset()


def _largest(size: int, present: int, least: int) -> int:
    """The most mines that may enter of an atom of `size` with `present` of them there."""
    if present == size:
        return size
    part = min(present, size - least)
    return part if part >= least else 0


def _named(mines: Mines) -> str:
    first, *others = sorted(mines)
    return f"{first} and {len(others)} more" if others else first
