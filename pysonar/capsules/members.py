"""Which capsules a new bounty names. Each must be there, and be who it says, before anything is posted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pysonar.capsules import answers, client
from pysonar.capsules.answers import Place
from pysonar.capsules.each import each
from pysonar.capsules.panel import PATIENCE_S, Panel
from sonar.errors import CapsuleFault, CapsuleUnavailable, ConfigError, SonarError
from sonar.manifests.capsule import Identity
from sonar.manifests.model import AuditSpec, VeilCover
from sonar.protocol.ids import Address

_ALL = (
    "a new bounty takes the key of each of its members: ask whoever runs this one, or name others as members "
    "in [capsules]; nothing was posted"
)


@dataclass(frozen=True)
class Wanted:
    """What a bounty asks of capsules. `accounts`: empty for all that the network lists. `bits`: the most that
    one tells of a mine's answer in a round. `least`: how many mines a sum takes by the terms. `audit`: None
    for none.
    """

    accounts: tuple[Address, ...]
    threshold: int
    bits: int
    least: int
    audit: AuditSpec | None = None


def cover_of(panel: Panel, place: Place, wanted: Wanted) -> VeilCover:
    """Return the cover of a bounty that is posted now, with each member's newest key.

    Raises ConfigError for members that do not fit, and of the first member that does not answer as it should,
    by account, CapsuleUnavailable or CapsuleFault: each names the capsule.
    """
    accounts = members_of(panel, wanted)
    told = identities(panel, place, accounts)
    for account in accounts:
        _check(account, told[account], wanted)
    _check_keys(told)
    return VeilCover(
        threshold=wanted.threshold,
        members=tuple(told[account].key for account in accounts),
        bits=wanted.bits,
        audit=wanted.audit,
    )


def members_of(panel: Panel, wanted: Wanted) -> tuple[Address, ...]:
    """Return the members' accounts, ascending. Raises ConfigError."""
    accounts = tuple(sorted(wanted.accounts or panel.accounts, key=lambda account: int(account, 16)))
    for account in accounts:
        _ = panel[account]
    if len(accounts) < wanted.threshold:
        listed = "the network lists" if not wanted.accounts else "members names"
        raise ConfigError(
            "capsules.threshold",
            f"{wanted.threshold} is more than the {len(accounts)} capsules that {listed}",
            hint="get a network file with more capsules, lower the threshold, or leave [capsules] out: then "
            "software with your key could read each answer",
        )
    return accounts


def identities(panel: Panel, place: Place, accounts: tuple[Address, ...]) -> Mapping[Address, Identity]:
    """Ask all capsules at once who they are. Raises the first fault by account, after all have answered."""
    capsules = [panel[account] for account in accounts]
    told, faults = each(
        capsules,
        lambda capsule: place.identity(capsule.account, capsule.identity()),
        len(capsules),
        PATIENCE_S,
    )
    for account in accounts:
        if account not in told:
            fault: SonarError = faults.get(account) or CapsuleUnavailable(
                f"the capsule {account} at {panel[account].place} does not say who it is within "
                f"{PATIENCE_S:g} s",
                hint="is it running?",
            )
            first = fault.hint.removesuffix(client.WHO).removesuffix(answers.WHO).rstrip()
            fault.hint = f"{first} {_ALL}".lstrip()
            raise fault
    return told


def _check(account: Address, told: Identity, wanted: Wanted) -> None:
    """Check that a capsule can serve the bounty. Raises ConfigError."""
    if told.bits < wanted.bits:
        raise ConfigError(
            "capsules.bits",
            f"{wanted.bits} is more than the {told.bits} that the capsule {account} tells of a mine",
            hint=f"name other members in [capsules], or ask whoever runs it to raise bits in capsule.toml to "
            f"{wanted.bits}",
        )
    if told.least > wanted.least:
        raise ConfigError(
            "min_mines",
            f"{wanted.least} is less than the {told.least} mines that the capsule {account} asks for",
            hint=f"give min_mines = {told.least}, or name other members",
        )


def _check_keys(told: Mapping[Address, Identity]) -> None:
    """Check that no two capsules have the same HPKE key, as copies of one home have. Raises CapsuleFault."""
    by_key: dict[bytes, Address] = {}
    for account, identity in told.items():
        other = by_key.setdefault(identity.key.hpke, account)
        if other != account:
            raise CapsuleFault(
                f"the capsules {other} and {account} have the same HPKE key: one would read what is for both",
                hint="name other members, or tell their operators: `capsule rotate` makes a new key",
            )
