"""Every measure by its name. A new one is a line here: a function of (rounds, quick) that gives a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import (
    attack,
    attacker,
    audits,
    campaign,
    demo,
    large,
    limit,
    packed,
    privacy,
    sampler,
    sums,
    updates,
    veil,
    words,
)
from benchmarks.race import Result

Measure = Callable[[int, bool], "Result | dict[str, Any]"]

MEASURES: Mapping[str, Measure] = {
    "update_2048": lambda rounds, quick: updates.update(2048, rounds),
    "update_3072": lambda rounds, quick: updates.update(3072, rounds),
    "round_ten_1core": lambda rounds, quick: updates.round_ten(1, rounds, quick),
    "round_ten_2cores": lambda rounds, quick: updates.round_ten(2, rounds, quick),
    "rows_44000_vs_44": lambda rounds, quick: updates.rows_44000_vs_44(3 * rounds),
    "steps_1000_vs_1": lambda rounds, quick: updates.steps_1000_vs_1(3 * rounds),
    "update_d1000_seconds": lambda rounds, quick: large.update_d1000_seconds(1 if quick else rounds),
    "packed_sum_2048": lambda rounds, quick: packed.packed_sum(2048, rounds, quick),
    "packed_sum_3072": lambda rounds, quick: packed.packed_sum(3072, rounds, quick),
    "encrypt_vs_heu": lambda rounds, quick: packed.encrypt_vs_heu(rounds, quick),
    "bytes_per_value": lambda rounds, quick: packed.bytes_per_value(),
    "campaign": lambda rounds, quick: campaign.campaign(quick),
    "demo": demo.demo,
    "demo_capsules": demo.demo_capsules,
    "veil_update": lambda rounds, quick: veil.veil_update(rounds),
    "veil_update_phe": lambda rounds, quick: veil.veil_update_phe(rounds),
    "veil_masks": veil.veil_masks,
    "words": words.words,
    "veil_sum": lambda rounds, quick: veil.veil_sum(1 if quick else 3),
    "veil_openings": lambda rounds, quick: veil.veil_openings(1 if quick else 3),
    "veil_audit": lambda rounds, quick: audits.veil_audit(1 if quick else 3),
    "privacy_accuracy": lambda rounds, quick: privacy.privacy_accuracy(quick),
    "privacy_attacker": lambda rounds, quick: attacker.privacy_attacker(quick),
    "privacy_shares": lambda rounds, quick: privacy.privacy_shares(quick),
    "privacy_sampler": lambda rounds, quick: sampler.privacy_sampler(quick),
    "privacy_accounting": lambda rounds, quick: sampler.privacy_accounting(),
    "privacy_attack": lambda rounds, quick: attack.privacy_attack(quick),
    "sums_2000": sums.sums_2000,
    "share_of_limit": lambda rounds, quick: limit.share_of_limit(rounds),
}


GROUPS: Mapping[str, tuple[str, ...]] = {
    "sums": ("sums_2000",),
    "privacy": tuple(name for name in MEASURES if name.startswith("privacy_")),
}
"""Measures that are run together under one name."""


def run(name: str, rounds: int, quick: bool) -> dict[str, Any]:
    """What a measure found: `ratio` by peer, the `medians` behind it, and how it was timed."""
    found = MEASURES[name](rounds, quick)
    return found.to_json() if isinstance(found, Result) else found
