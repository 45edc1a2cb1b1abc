"""An honest scientist's verdict, in memory: what she asks capsules, and whom she leaves out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gmpy2 import mpz

from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import Course, Point
from sonar.families.veiled import Sent
from sonar.manifests.audit import Heard
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import ModelManifest
from sonar.protocol.ids import Address
from sonar.settling.selection import Opened, select
from sonar.settling.verdict import VEIL, Found, Verdict, copied, rows_changed, twins_of, verdict_of
from tests.veil_kit import Update

if TYPE_CHECKING:
    from tests.audit_kit.world import World


@dataclass
class Mine:
    """A mine with its rows and seeds; `answer` is what it makes of weights."""

    address: Address
    rows: LocalMap
    seeds: tuple[bytes, ...]
    answer: Callable[[LocalMap, Sequence[int], int], list[int]] = LocalMap.answer
    absent: bool = False


@dataclass
class Played:
    """A round up to its settlement, as the scientist knows it."""

    number: int
    weights: tuple[int, ...]
    updates: dict[Address, Update]
    verdict: Verdict
    point: Point | None = None
    scores: dict[str, int] = field(default_factory=dict)
    cohort: CohortManifest | None = None
    seen: Course | None = None
    asked: list[Heard] = field(default_factory=list)
    sum: Heard | None = None
    complaints: list[bytes] = field(default_factory=list)
    new_model: ModelManifest | None = None
    new_weights: list[mpz] = field(default_factory=list)

    @property
    def loss(self) -> int:
        assert self.point is not None
        return self.point.loss


def judged(
    world: World,
    played: Played,
    read: Mapping[Address, Update],
    leave_out: Mapping[Address, str],
    silent: Collection[Address],
) -> tuple[Verdict, Mapping[str, int]]:
    """Return who an honest scientist leaves out, and the weights of the set that she fixes."""
    number = played.number
    unread = {mine for mine, why in leave_out.items() if why.startswith(("withheld", "malformed"))}
    read = {mine: update for mine, update in read.items() if mine not in unread}
    rows = {str(mine): update.manifest.rows for mine, update in read.items()}
    past = [*world.history, played]
    sent = [
        Sent(one.number, one.weights, frozenset(map(str, one.updates)) - world.gone.keys() - unread)
        for one in past
    ]
    lots = world.lots("tests", number)
    least = world.terms.least
    rules = world.family.tests(world.design.spec, world.plan, least, lots.draw)
    reference = world.family.reference(world.design, played.weights)
    tests = world.family.veiled_tests(rules, world.plan, sent, reference, rows, lots.draw)
    heard = world.hear(played, {mine: asks for mine, asks in tests.asks.items() if mine not in silent})
    failed_or_none, twins = tests.judged(heard)
    failed_or_none |= dict.fromkeys(map(str, silent), VEIL)
    failed = {mine: test for mine, test in failed_or_none.items() if test is not None}
    before: dict[str, int] = {}
    senders: dict[str, str] = {}
    for one in world.history:
        for mine, update in one.updates.items():
            before.setdefault(mine, update.manifest.rows)
        _, first = copied(list(map(str, one.updates)), _names(one.updates), senders)
        senders |= first
    earlier = [one.verdict.twins for one in world.history]
    copies, _ = copied(list(map(str, read)), _names(read), senders)
    found = Found(
        sorted(map(str, played.updates), key=lambda mine: int(mine, 16)),
        {mine: why for mine, why in world.gone.items() if mine in played.updates}
        | {str(mine): why for mine, why in leave_out.items()},
        failed,
        rows_changed(rows, before),
        copies,
        twins_of([*earlier, twins], [mine for mine, test in failed_or_none.items() if test is None]),
    )
    weighed = [update.manifest for mine, update in read.items() if mine not in leave_out]
    verdict = verdict_of(found, world.plan, weighed)
    accepted = [one for one in weighed if one.mine in verdict.accepted]
    opened = Opened.of(
        {a.mine: a.weight for a in one.cohort.addends} for one in world.history if one.cohort is not None
    )
    chosen = select(world.plan, accepted, found.twins, opened, least, world.lots("set", number).below)
    return verdict_of(found, world.plan, weighed, chosen.left), chosen.weights


def spoilers(world: World, played: Played) -> dict[str, str]:
    """Return whose answers made a round's sum none, and the test that each fails."""
    assert played.cohort is not None
    mines, draw = [a.mine for a in played.cohort.addends], world.lots("spoilers", played.number).draw
    wanted = world.family.veiled_spoilers(world.plan, played.number, mines, draw)
    failed, _ = wanted.judged(world.hear(played, wanted.asks))
    return {mine: test for mine, test in failed.items() if test is not None}


def _names(updates: Mapping[Address, Update]) -> dict[str, str]:
    return {str(mine): repr(update.ciphertexts) for mine, update in updates.items()}
