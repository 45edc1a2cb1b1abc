"""Scores and shares, once more: functionals of the answers in the sums, and from there on integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capsule.audit.judging import Judging
from capsule.audit.memory import Summed
from capsule.audit.refusal import refuse
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.families.registry import family_of
from sonar.families.veiled import VeiledScores
from sonar.manifests.audit import AwardLine
from sonar.protocol.phase import Terms
from sonar.settling.shares import round_shares
from sonar.settling.verdict import Verdict
from sonar.veil.functionals import Measured


def scores_of(
    judging: Judging,
    optimiser: Optimiser,
    seen: Course,
    point: Point,
    sums: Mapping[int, Summed],
) -> dict[str, int]:
    """Return each summed mine's score. `sums`: of each round, the settled one's last.

    Raises Refusal.
    """
    design, family = judging.design, family_of(judging.design.spec)
    vectors = family.score_vectors(design, optimiser, seen, point)
    now = sums[max(sums)].weights
    sent = {number: each.mines for number, each in sums.items()}
    pooled = {number: (each.sums, each.rows) for number, each in sums.items()}
    listed = {number: vector.tolist() for number, vector in vectors.items()}
    wanted = family.veiled_scores(judging.place.plan, listed, sent, now.keys(), pooled)
    heard = {mine: _heard(judging, wanted, mine) for mine in wanted.asks}
    return dict.fromkeys(now, 0) | wanted.scored(heard, now)


def _heard(judging: Judging, wanted: VeiledScores, mine: str) -> tuple[Measured, ...]:
    """What was heard of a mine's score, asked about as it follows from the sums."""
    found = [
        judging.heard(mine, asked, room) for asked, room in zip(wanted.asks[mine], wanted.rooms, strict=True)
    ]
    if not wanted.stand_for([asked for asked, _ in found], mine):
        refuse("told-missing", f"what was asked about the score of {mine} is not what follows from the sums")
    return tuple(value for _, value in found)


def check_shares(
    told: Sequence[AwardLine],
    scores: Mapping[str, float],
    verdict: Verdict,
    place: tuple[Sequence[str], int, Terms],
    losses: tuple[int, int],
) -> dict[str, int]:
    """Return each mine's share of the round, which must be what was told. Raises Refusal.

    `place`: the cohort, the round's number and the bounty's terms. `losses`: best after and before.
    """
    cohort, number, terms = place
    shares = round_shares(scores, cohort, verdict, number, terms, losses)
    found = {str(line.mine): line.share_bps for line in told}
    if found.keys() != shares.keys():
        wrong = sorted(found.keys() ^ shares.keys())[0]
        refuse("shares", f"the awards do not name the {len(shares)} mines that revealed: {wrong}")
    for mine, share in shares.items():
        if found[mine] != share:
            refuse(
                "shares", f"the share of {mine} is {found[mine]} basis points; {share} follows from scores"
            )
    return shares
