"""Each mine's part of a round's payment, in basis points: integers, from integer scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sonar.families.quadratic.score import as_one, shares_of
from sonar.paillier.cohort import grouped
from sonar.protocol.phase import Terms
from sonar.settling.verdict import SPARED, Verdict


def round_shares(
    scores: Mapping[str, float],
    cohort: Sequence[str],
    verdict: Verdict,
    number: int,
    terms: Terms,
    losses: tuple[int, int],
) -> dict[str, int]:
    """Return each mine's share by its score; twins are paid as one. `losses`: best after, best before."""
    shares = shares_of(scores, cohort)
    if verdict.twins:
        reward = terms.reward_at(losses[0]) - terms.reward_at(losses[1])
        fees = terms.fee_units * len(cohort)
        shares = as_one(shares, grouped(verdict.accepted, verdict.twins), number, reward, fees)
    return with_fees(shares, [mine for mine, why in verdict.left_out.items() if why == SPARED])


def with_fees(shares: Mapping[str, int], spared: Collection[str]) -> dict[str, int]:
    """Return shares with one basis point, which brings a fee, for each mine of `spared`.

    Each comes from whoever has most at that moment, of several from the lowest address. Nothing changes where
    nobody has a share.
    """
    found = dict(shares)
    for mine in sorted(spared, key=lambda mine: int(mine, 16)):
        richest = max(found, key=lambda one: (found[one], -int(one, 16)))
        if found[richest] > 1 and not found[mine]:
            found[richest] -= 1
            found[mine] = 1
    return found
