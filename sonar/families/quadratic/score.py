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

from collections.abc import Mapping

import numpy as np

from sonar.families.quadratic.optimisers.base import Coefficients, Precondition, Vector


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
