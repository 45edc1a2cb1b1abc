"""The cohort that the scientist fixed before she opened a sum: who is in it, and with which weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sonar.manifests.cohort import CohortManifest
from sonar.paillier.slots import SlotPlan
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import Address, BountyId
from sonar.veil.atoms import Atoms, weight_fault
from sonar.verifying.findings import Findings, Read
from sonar.verifying.posting import Place
from sonar.verifying.updates import Judged

GROUP = "cohort"


@dataclass
class Opened:
    """What was opened so far: the sets, and the weight that each mine first entered with."""

    sets: list[frozenset[str]] = field(default_factory=list)
    weights: dict[Address, int] = field(default_factory=dict)


def check(
    findings: Findings, place: Place, record: RoundRecord, read: Read, plan: SlotPlan | None
) -> CohortManifest | None:
    """Check the manifest that was fixed against the round's reveals, and return it."""
    cohort = findings.manifest(CohortManifest, GROUP, "cohort", read)
    if cohort is None:
        return None
    found = (cohort.chain_id, cohort.contract, cohort.bounty, cohort.round)
    findings.same(GROUP, "cohort's round", _of(place, record.bounty, record.round), found)
    total = sum(addend.weight for addend in cohort.addends)
    for addend in cohort.addends:
        reveal = record.reveals.get(addend.mine)
        update = reveal.update_digest if reveal else None
        findings.same(GROUP, f"cohort's update of {addend.mine}", update, addend.update)
        if 2 * addend.weight > total:
            findings.false(
                GROUP, f"weight of {addend.mine}", f"at most half of all, {total // 2}", addend.weight
            )
        elif plan and addend.weight > plan.weight_rows:
            findings.false(GROUP, f"weight of {addend.mine}", f"at most {plan.weight_rows}", addend.weight)
        else:
            findings.holds(GROUP)
    return cohort


def check_weights(
    findings: Findings, cohort: CohortManifest, opened: Opened, updates: Mapping[Address, Judged]
) -> None:
    """Check weights against rows and earlier sums: one that moved would give away a part of an answer."""
    for addend in cohort.addends:
        rows = updates[addend.mine].rows if addend.mine in updates else None
        if rows is not None and addend.weight > rows:
            findings.false(GROUP, f"weight of {addend.mine}", f"at most its {rows} rows", addend.weight)
        first = opened.weights.setdefault(addend.mine, addend.weight)
        findings.same(GROUP, f"weight of {addend.mine}, as in its first sum", first, addend.weight)


def check_set(findings: Findings, cohort: CohortManifest, opened: Opened, least: int) -> None:
    """Check that no group of fewer than `least` mines can be told from the others by the sums so far."""
    new = frozenset(str(addend.mine) for addend in cohort.addends)
    atoms = Atoms(opened.sets)
    weights = {str(mine): weight for mine, weight in opened.weights.items()}
    weights |= {str(addend.mine): addend.weight for addend in cohort.addends}
    fault = atoms.fault(new, least) or weight_fault(atoms.with_set(new), weights)
    findings.sound(GROUP, "cohort's set", fault, f"no group of fewer than {least} mines stands alone")
    opened.sets.append(new)


def _of(place: Place, bounty: BountyId, number: int) -> tuple[int, Address, BountyId, int]:
    return place.chain_id, place.contract, bounty, number
