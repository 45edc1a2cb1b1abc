"""Which of several functionals an auditor takes, where vectors may be off by a little."""

from __future__ import annotations

import pytest

from capsule.audit.refusal import Refusal
from capsule.audit.told import Functionals, Parts, Place
from tests.audit_kit.telling import HERE
from tests.audit_kit.world import World
from tests.veil_kit import BOUNTY

MINE, ROOM = "0x" + "11" * 20, 2049


def parts(*vector: int) -> Parts:
    return ((1, b"u" * 32, vector),)


@pytest.mark.parametrize("decoy_first", [True, False])
def test_a_test_by_small_numbers_is_not_taken_for_what_rounding_left_of_a_score(decoy_first: bool) -> None:
    """Both are 14 bits of the same answer. Else honest rounds of some cohorts are signed by nobody."""
    world = World(mines=3)
    place = Place(HERE.chain_id, HERE.address, BOUNTY, world.cover, world.plan, lambda _: world.public.n)
    wanted, near, decoy = parts(900, -900), parts(901, -900), parts(-300, 700)
    told = [(decoy, {0: 1, 1: 2, 2: 3}), (near, {0: 4, 1: 5, 2: 6})]
    functionals = Functionals({(MINE, 14): told if decoy_first else told[::-1]})
    assert functionals.told(place, MINE, 14, wanted, room=ROOM) == (near, [4, 5, 6])
    assert functionals.told(place, MINE, 14, parts(-301, 700), room=1) == (decoy, [1, 2, 3])
    for other in (parts(900, -900, 0), ((2, b"u" * 32, (900, -900)),), ()):
        with pytest.raises(Refusal, match="nobody told"):
            functionals.told(place, MINE, 14, other, room=ROOM)
