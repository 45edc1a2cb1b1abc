"""Builds what a bounty with capsules works with: their panel, the holder behind them, and their signatures.

Only `pysonar.wiring` calls it, for bounties that have capsules: it loads what the others never need.
"""

from __future__ import annotations

from dataclasses import replace

from eth_account.signers.local import LocalAccount

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.request import Bounty
from pysonar.campaign.audit import Packets, audit_spec
from pysonar.campaign.opening import cover_in, job_of
from pysonar.campaign.records import Posting, Records
from pysonar.campaign.signing import CapsuleSignatures
from pysonar.capsules.answers import Place
from pysonar.capsules.client import Asker, Clock, HttpCapsule
from pysonar.capsules.members import Wanted
from pysonar.capsules.panel import Panel
from pysonar.keys.base import Keyring
from pysonar.keys.covered.words import WordsHolder
from pysonar.keys.key import Key
from pysonar.keys.veiled import VeiledHolder
from sonar.chain.contract.market import Market
from sonar.errors import ConfigError, LocalProtocolError
from sonar.families.registry import family_of
from sonar.home.settings import NetworkConfig
from sonar.ports import Store
from sonar.protocol.ids import Address
from sonar.telling.progress import Progress
from sonar.veil.classes import Classes
from sonar.veil.words import bits_asked

Covered = VeiledHolder | WordsHolder
"""A holder behind capsules: of answers in ciphertexts, or in words."""


def panel_in(network: NetworkConfig, market: Market, account: LocalAccount) -> Panel:
    """Return the capsules that a network lists, asked by this account. Raises ConfigError for none."""
    if not network.capsules:
        raise ConfigError(
            "capsules",
            f"the network {network.name!r} lists none in network.toml",
            hint="get a network file with [[capsules]], or leave [capsules] out of the bounty: then software "
            "with your key could read each answer, and mines may ask for more trust than they have",
        )
    asker = Asker(market.chain_id, market.address, account, Clock(lambda: market.head().timestamp_s))
    return Panel(
        [HttpCapsule(one.account, one.url, asker) for one in network.capsules],
        [HttpCapsule(account, one.url, asker) for one in network.capsules for account in one.formerly],
    )


def holder_behind(bounty: AnyBounty, keys: Key | Keyring, panel: Panel, market: Market) -> Covered:
    """Return the holder of a bounty with capsules."""
    asked = bounty.settings.capsules
    if asked is None:
        raise LocalProtocolError("the bounty has no capsules")
    audit = audit_spec(judged(bounty)) if asked.audited else None
    wanted = Wanted(asked.accounts, asked.threshold, asked.bits, bounty.settings.min_mines, audit)
    place = Place(market.chain_id, market.address)
    if not family_of(bounty.design.spec).visible:
        return VeiledHolder(keys, panel, place, wanted)
    return WordsHolder(keys, panel, place, replace(wanted, bits=_bits_of_words(bounty, panel, wanted)))


def _bits_of_words(bounty: AnyBounty, panel: Panel, wanted: Wanted) -> int:
    """How many bits capsules may tell of an answer in a round: no more than it takes to tell who has spoilt
    a sum.
    """
    members = len(wanted.accounts or panel.accounts)
    if members < wanted.threshold:  # which is refused when the members are asked
        return wanted.bits
    return min(wanted.bits, bits_asked(bounty.design.plan, Classes(members, wanted.threshold).count))


def judged(bounty: AnyBounty) -> Bounty:
    """Return a bounty whose model is judged by held-out rows, which auditors repeat. Raises ConfigError."""
    if not isinstance(bounty, Bounty):
        problem = "is true, and of a statistic there is nothing to recompute: it pays fees alone"
        raise ConfigError("capsules.audit", problem, hint="leave it out")
    return bounty


def audited_by(
    bounty: AnyBounty,
    holder: Covered,
    panel: Panel,
    market: Market,
    store: Store,
    records: Records,
    scientist: Address,
    progress: Progress,
) -> CapsuleSignatures:
    """Return who signs the settlements of an audited bounty."""

    def auditors() -> tuple[tuple[Address, ...], int]:
        posting: Posting | None = records.get(Posting)
        found = cover_in(posting).auditors if posting else None
        if found is None:
            raise LocalProtocolError("the bounty was posted without auditors")
        return found

    def packets() -> Packets:
        if not isinstance(holder, VeiledHolder):
            raise LocalProtocolError("answers in words are not audited")
        job = job_of(records.get(Posting), bounty, market, scientist)
        return Packets(store.get, holder, records, judged(bounty), job)

    place = Place(market.chain_id, market.address)
    return CapsuleSignatures(panel, place, auditors, packets, progress)
