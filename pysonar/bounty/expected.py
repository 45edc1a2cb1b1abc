"""What a bounty's noise costs in accuracy, and what it leaves to be learned, in the scientist's words."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pysonar.bounty.simulating import Expected, expected
from sonar.families.quadratic.noisy.choosing import counted_rows
from sonar.families.quadratic.noisy.shortening import grid_rows
from sonar.privacy.accounting import epsilon_of, loose
from sonar.telling.figures import in_words, plain

if TYPE_CHECKING:
    from pysonar.bounty.private import PrivacySettings
    from pysonar.bounty.request import Bounty

SEED = 0
"""A bounty is told the same each time."""


def figures(bounty: Bounty, loss: int) -> str:
    """Return a loss in the metrics that measure it, and how far off a prediction then typically is."""
    told = bounty.design.holdout.said_all(bounty.metric, loss)
    off = f", typically {plain(math.sqrt(told['mse']), 4)} off" if "mse" in told else ""
    return in_words(told) + off


@lru_cache(maxsize=16)
def simulated(bounty: Bounty, mines: int, *, noise: bool = True) -> Expected:
    """Return what to expect of so many mines at the bounty's noise, or without."""
    design = bounty.design if noise else bounty.design.without_noise()
    optimiser = bounty.settings.optimiser.optimiser(design.ground)
    return expected(design, optimiser, bounty.offer.terms.rounds, mines, SEED)


def noise_told(bounty: Bounty) -> dict[str, list[str]]:
    """Return the section about noise, by its title; none without."""
    asked = bounty.settings.privacy
    if asked is None:
        return {}
    return {"Noise": [*_protection(bounty, asked), *_accuracy(bounty)]}


def warnings(bounty: Bounty) -> list[str]:
    """Return what should be known before anything is posted, in lines; none without noise."""
    asked, terms = bounty.settings.privacy, bounty.offer.terms
    if asked is None:
        return []
    found, lines = simulated(bounty, terms.cohort_cap), []
    if bounty.settings.target and bounty.target_loss < found.best:
        lines.append(
            f"warning: at this noise {figures(bounty, bounty.target_loss)} is hardly reached; with "
            f"{terms.cohort_cap} mines, expect {_range(bounty, found)}. The reward is paid for what is "
            "reached; give a larger epsilon, more mines or rows (weight_rows), fewer columns, or less of a "
            "target"
        )
    if told := loose(asked.delta, bounty.design.spec.rows_min):
        lines.append(f"warning: {told}: give a smaller privacy.delta")
    return lines


def _protection(bounty: Bounty, asked: PrivacySettings) -> list[str]:
    spec, design = bounty.design.spec, bounty.design
    assert spec.noise is not None
    price = spec.noise.price
    _, cut = grid_rows(spec.noise, design.holdout.phi, design.holdout.z)
    return [
        "each mine adds noise to its sums once, before anything is made of them: whatever is asked then, "
        f"each of its rows has ({epsilon_of(price.rho, asked.delta):.4g}, {asked.delta:g})-differential "
        f"privacy, a rho of {float(price.rho):.4g} in zCDP",
        "that much of its budget a mine's data set pays, once: another bounty with the same columns, "
        "constants and noise uses the same release and costs it nothing more; this bounty's other rounds "
        "neither",
        *_who(bounty, asked),
        f"rows are shortened to a length of {spec.noise.row_max / 2.0**spec.noise.frac:.3g}, as "
        f"{cut} of your {bounty.held_out.rows} held-out rows would be; nothing is refused for its values, "
        "which would tell of them",
    ]


def _who(bounty: Bounty, asked: PrivacySettings) -> list[str]:
    least = bounty.offer.terms.min_mines
    if not asked.shared:
        return [
            "local: each mine's own noise is enough. It holds against you, with whatever software, against "
            "other mines, capsules, and everybody together"
        ]
    spec, capsules = bounty.design.spec, bounty.settings.capsules
    assert capsules is not None  # see `check_privacy`
    assert spec.noise is not None
    alone = epsilon_of(spec.noise.price.rho * least, asked.delta)
    return [
        f"shared: the noise of {least} mines together is enough (min_mines), so each adds 1/{least} of it. "
        f"It holds for sums over {least} mines whose noise nobody tells you; of mines that do, or that are "
        "yours, that part is missing",
        f"of a single answer you learn the bits that tests and scores take, and all of it if "
        f"{capsules.threshold} capsules help you. Its own noise leaves a row "
        f"({alone:.4g}, {asked.delta:g})-differential privacy even then",
    ]


def _accuracy(bounty: Bounty) -> list[str]:
    terms, design = bounty.offer.terms, bounty.design
    rows = counted_rows(design.spec, design.plan.weight_rows)
    most, least = terms.cohort_cap, terms.min_mines
    plain_one = simulated(bounty, most, noise=False)
    lines = [
        f"with {most} mines of {rows} rows, expect {_range(bounty, simulated(bounty, most))}; "
        f"without noise, {_range(bounty, plain_one)}"
    ]
    if least < most:
        lines.append(f"with {least} mines of {rows} rows, {_range(bounty, simulated(bounty, least))}")
    return [
        *lines,
        f"these are draws of rows like your {bounty.held_out.rows}, and of noise: the median, and the range "
        f"of {len(plain_one.losses)}. What comes depends on the mines' rows, too; those with more rows than "
        "weight_rows add less noise" * (not bounty.design.spec.noise or bounty.design.spec.noise.parts == 1),
    ]


def _range(bounty: Bounty, found: Expected) -> str:
    """Return the median in people's units, and the range."""
    holdout, metric = bounty.design.holdout, bounty.metric
    ends = sorted(holdout.said(metric, loss) for loss in (found.best, found.worst))
    if len(found.losses) == 1 or not np.isfinite(ends).all():
        return figures(bounty, found.middle)
    low, high = (plain(end, 3) for end in ends)
    return f"{figures(bounty, found.middle)} ({low} to {high})"
