"""Whose updates are summed, and with which weights: what scientist, capsules and auditors must agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan

NO_TWINS: Mapping[str, str] = MappingProxyType({})


class Weighed(Protocol):
    """An update as far as its weight goes: who sent it, and how many rows it says it is of."""

    @property
    def mine(self) -> str:
        """The mine's address."""
        ...

    @property
    def rows(self) -> int:
        """How many rows the mine says it has."""
        ...


class Sent(Weighed, Protocol):
    """An update with its ciphertexts, as they were sent."""

    @property
    def blob(self) -> bytes:
        """All of the ciphertexts, one after the other."""
        ...


def aggregate_digest(
    key: PublicKey, plan: SlotPlan, updates: Sequence[Sent], twins: Mapping[str, str] = NO_TWINS
) -> bytes:
    """sha2-256 that names an aggregate: the key, the plan, and each mine's address, weight and ciphertexts.

    The order of `updates` does not matter.
    """
    weights = weights_of(plan, updates, twins)
    parts = (
        digest_of_parts(one.mine.encode(), str(weights[one.mine]).encode(), one.blob)
        for one in sorted(updates, key=lambda one: one.mine)
    )
    return digest_of_parts(b"sonar aggregate", key.fingerprint, plan_bytes(plan), *parts)


def weight_of(plan: SlotPlan, update: Weighed) -> int:
    """An update's weight in a sum: its rows, which nobody can check, but at most `weight_rows`."""
    return min(update.rows, plan.weight_rows)


def weights_of(
    plan: SlotPlan, updates: Sequence[Weighed], twins: Mapping[str, str] = NO_TWINS
) -> dict[str, int]:
    """What each update weighs in their sum, by mine.

    Those of twins weigh as much together as the lightest of them alone. What does not divide evenly goes to
    the lower addresses, so that of very many some weigh nothing.
    """
    weights = {one.mine: weight_of(plan, one) for one in updates}
    for together in grouped(weights, twins):
        part, left = divmod(min(weights[mine] for mine in together), len(together))
        weights |= {mine: part + (place < left) for place, mine in enumerate(sorted(together))}
    return weights


def frozen_weights(
    plan: SlotPlan,
    updates: Sequence[Weighed],
    twins: Mapping[str, str],
    frozen: Mapping[str, int],
    lots: Callable[[int], int],
) -> dict[str, int]:
    """Return what each update weighs where weights may not change: by mine, without those left out.

    `frozen` are the weights of mines that were in an earlier sum, which stay: if a weight moved, the
    difference of two sums would be a part of one mine's answer. Of twins one enters, with the whole weight:
    the lowest address of those with a frozen one, else one by lot: `lots(k)` draws from [0, k). So each may
    expect the part that it would get if they divided. A weight is never divided: beside whole ones its parts
    would tell of single answers, modulo the others.
    """
    alone = {one.mine: weight_of(plan, one) for one in updates}
    weights: dict[str, int] = {}
    for together in grouped(sorted(alone), twins):
        begun = [mine for mine in together if mine in frozen]
        head = begun[0] if begun else together[lots(len(together)) if len(together) > 1 else 0]
        weights[head] = frozen.get(head, min(alone[mine] for mine in together))
    return weights


def grouped(mines: Iterable[str], twins: Mapping[str, str]) -> list[list[str]]:
    """Return who counts as one: `twins` names for each mine that has any the first of its group."""
    groups: dict[str, list[str]] = {}
    for mine in mines:
        groups.setdefault(twins.get(mine, mine), []).append(mine)
    return list(groups.values())


def plan_bytes(plan: SlotPlan) -> bytes:
    """A plan's fields in one form."""
    return ",".join(f"{name}={value}" for name, value in sorted(plan.to_dict().items())).encode()


def digest_of_parts(*parts: bytes) -> bytes:
    """sha2-256 over the parts, each after its length."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
