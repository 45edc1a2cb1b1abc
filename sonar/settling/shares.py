"""Each mine's part of a round's payment, in basis points: integers, from integer scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sonar.paillier.cohort import grouped
from sonar.protocol.phase import Terms
from sonar.settling.verdict import SPARED, Verdict

FULL_BPS = 10_000


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


def shares_of(scores: Mapping[str, float], cohort: Collection[str]) -> dict[str, int]:
    """Return each cohort mine's share in basis points: the positive scores, normalised to exactly 10,000.

    `scores` holds the accepted mines. If none is positive, the accepted share equally; if nobody was
    accepted, all shares are 0. What rounding leaves goes to the largest remainders, ties to lower addresses.
    """
    positive = {mine: score for mine, score in scores.items() if score > 0}
    claims = positive or dict.fromkeys(scores, 1.0)
    shares = dict.fromkeys(cohort, 0)
    if not claims:
        return shares
    largest = max(claims.values())
    scaled = {mine: claim / largest for mine, claim in claims.items()}
    total = sum(scaled[mine] for mine in sorted(scaled))
    exact = {mine: FULL_BPS * scaled[mine] / total for mine in scaled}
    for mine, value in exact.items():
        shares[mine] = int(value)
    left = FULL_BPS - sum(shares.values())
    by_remainder = sorted(exact, key=lambda mine: (int(exact[mine]) - exact[mine], int(mine, 16)))
    for mine in by_remainder[:left]:
        shares[mine] += 1
    return shares


def as_one(
    shares: Mapping[str, int], groups: Collection[Collection[str]], turn: int, reward: int, fees: int
) -> dict[str, int]:
    """Return shares in basis points by which each of `groups` is paid in all what one mine would be.

    `shares`: by mine of the cohort, those of a group together as large as one mine's; `groups`: the accepted.
    `reward` is what the round pays by share, `fees` what it pays in equal parts to all who have one, in
    units: a fee for each of the cohort. So a group of several would earn a fee for each address. Its members
    are paid alike, and what they bring in fees goes to the others. Where the reward is too small for that,
    one member of each group is paid, by turns, and a group of several sits out the part of the rounds that
    stands for the fees it has brought.
    """
    paid = [(sorted(group), sum(shares[mine] for mine in group)) for group in groups]
    earning = [(group, part) for group, part in paid if part > 0]
    brought = sum(len(group) - 1 for group, _ in earning)
    if not brought:
        return dict(shares)
    if reward:
        claims = _claims(earning, reward, fees, len(shares))
        if min(claims.values()) >= 1:
            return shares_of(claims, shares)
    alone = [(group, part) for group, part in paid if len(group) == 1]
    if turn % len(shares) >= len(shares) - brought and alone:
        earning = [one for one in alone if one[1] > 0] or [(group, 1) for group, _ in alone]
    turn = turn % len(shares) + turn // len(shares)  # whose turn it is must not hang on when a group sits out
    return shares_of({group[turn % len(group)]: float(part) for group, part in earning}, shares)


def _claims(
    paid: Sequence[tuple[Sequence[str], int]], reward: int, fees: int, cohort: int
) -> dict[str, float]:
    """The basis points that leave each group with its part of the reward and the fee of one mine."""
    addresses = sum(len(group) for group, _ in paid)
    brought = fees * (addresses - len(paid)) / cohort
    alone = sum(len(group) == 1 for group, _ in paid)
    claims: dict[str, float] = {}
    for group, part in paid:
        due = part * reward / FULL_BPS + (fees - brought) / len(paid)
        if not alone or len(group) == 1:
            due += brought / (alone or len(paid))
        claims |= dict.fromkeys(group, (due / len(group) - fees / addresses) * FULL_BPS / reward)
    return claims
