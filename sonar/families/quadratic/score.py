"""Contribution: the exact Shapley value of each mine in a round, and the shares of the payment.

Freeze the coefficients C = D P + E (see `sonar.families.quadratic.optimisers.base`) at their realised values.
With

    z_i = sum over the rounds s that mine i was accepted in of (C_new,s - C_best,s) (n_i / N_s) u_i^s

(n_i the rows that mine i is weighted by, N_s their sum) the step from the best weights so far to the new ones
is sum_i z_i. For a quadratic holdout loss L, the Shapley value of mine i in the game "whose updates were in",
v(T) = L(w_best) - L(w_best + sum_(i in T) z_i), is

    phi_i = -< grad L((w_best + w_new) / 2), z_i >

and the values add up to L(w_best) - L(w_new). Moved to the other side of the product, this is one vector per
round, which the key object multiplies with each update inside itself: it returns one rounded number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from sonar.families.quadratic.optimisers.base import Coefficients, Precondition, Vector

FULL_BPS = 10_000


def score_vectors(
    gradient: Vector,
    new: Coefficients,
    best: Coefficients,
    total_rows: Mapping[int, int],
    precondition: Precondition,
) -> dict[int, Vector]:
    """Return, per round s, the vector float64[d k] whose product with n_i u_i^s, summed over s, is phi_i.

    `gradient`: grad L at the middle of best and new weights, float64[d k]. `total_rows`: N_s, the accepted
    rows per round. `precondition` is P, which is symmetric. Rounds in which the coefficients do not differ
    are left out.
    """
    difference = new.plus(best, -1.0)
    vectors = {}
    for number in difference.rounds:
        vector = -difference.apply_transposed(number, gradient, precondition) / total_rows[number]
        if np.any(vector):
            vectors[number] = vector
    return vectors


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
