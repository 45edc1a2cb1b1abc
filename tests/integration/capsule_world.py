"""A scientist's world with capsules: the program's own service, in the test's process, over the same chain.

Only HTTP is left out: requests and answers are handed over as bytes. A capsule here can be killed and started
again, hang, refuse, or lie.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount

from capsule.auditing import Fetch, auditor_of
from capsule.home.keys import Epoch
from capsule.home.ledger import Ledger
from capsule.home.policy import Policy, Rules
from capsule.home.witness import Witness
from capsule.means import Means
from capsule.opening.chainview import ChainView
from capsule.problems import refused
from capsule.service import Service
from pysonar.behind import audited_by, holder_behind
from pysonar.campaign.records import Records
from pysonar.capsules.client import CONTENT_TYPE, Asker, HttpCapsule
from pysonar.capsules.panel import Panel
from pysonar.keys.base import Keyring
from pysonar.keys.holder import KeyHolder
from pysonar.keys.key import Key
from pysonar.keys.told import Told
from sonar.chain.signatures import sign_digest
from sonar.errors import SonarError
from sonar.home.journal import Journal
from sonar.manifests.capsule import SignedAnswer
from sonar.manifests.model import CapsuleKey
from sonar.protocol.capsules import answer_digest, key_digest
from sonar.protocol.ids import Address
from sonar.telling.progress import Progress
from sonar.veil.envelopes import EnvelopeKey
from tests.integration.campaign_kit import World

Change = Callable[[str, bytes], bytes]
_ONE_AT_A_TIME = threading.Lock()
"""The chain in this process is not for several threads."""


@dataclass
class InProcess:
    """One capsule: its account, its home, and what is wrong with it.

    `down` as if its program were killed; `hung` as if it were paused, until the event is set; `deaf` as if
    it were killed for these questions alone; `change`: what it does to the bodies of its answers before it
    signs them.
    """

    world: CapsuleWorld
    account: LocalAccount
    folder: Path
    key: EnvelopeKey = field(default_factory=EnvelopeKey.new)
    epoch: int = 1
    policy: Policy = field(default_factory=Policy)
    down: bool = False
    deaf: frozenset[str] = frozenset()
    hung: threading.Event | None = None
    change: Change | None = None
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.address = Address(self.account.address)
        self.start()

    def start(self) -> None:
        """A program that was just started in its home."""
        market = self.world.market
        digest = key_digest(market.chain_id, market.address, self.address, self.epoch, self.key.public)
        public = CapsuleKey(
            account=self.address,
            epoch=self.epoch,
            hpke=self.key.public,
            signature=sign_digest(self.account, digest),
        )
        ledger, journal = Ledger(self.folder / "capsule.ledger"), Journal(self.folder / "audits.sqlite")
        self.means = Means(
            ChainView(market, 1),
            self.world.store,
            ledger,
            Witness(ledger.name),
            {self.epoch: Epoch(public, 0, self.key)},
            self.account,
            self.policy,
            audits=lambda means: auditor_of(means, journal, self.world.peers_of(self)),
            insecure_keys=True,
        )
        self.service, self.down = Service(self.means), False

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.hung is not None:
            self.hung.wait(30)
            raise httpx.ReadTimeout("it hangs")
        if self.down:
            raise httpx.ConnectError("connection refused")
        kind, headers = request.url.path.rpartition("/")[2], {"content-type": CONTENT_TYPE}
        self.asked.append(kind)
        if kind in self.deaf:
            raise httpx.ConnectError("connection refused")
        try:
            with _ONE_AT_A_TIME:
                told = (
                    self.service.identity
                    if kind == "identity"
                    else self.service.answer(kind, request.content)
                )
        except SonarError as error:
            refusal = refused(error)
            return httpx.Response(refusal.status, content=refusal.document.to_bytes(), headers=headers)
        return httpx.Response(200, content=self._changed(kind, told), headers=headers)

    def _told(self, kind: str, data: bytes) -> bytes:
        return self.service.identity if kind == "identity" else self.service.answer(kind, data)

    def _changed(self, kind: str, told: bytes) -> bytes:
        if self.change is None or kind == "identity":
            return told
        body, market = self.change(kind, SignedAnswer.from_bytes(told).body), self.world.market
        digest = answer_digest(market.chain_id, market.address, body)
        return SignedAnswer(body=body, signature=sign_digest(self.account, digest)).to_bytes()


@dataclass
class CapsuleWorld(World):
    """`World` with `members` capsules, any `threshold` of which open a sum."""

    members: int = 3
    threshold: int = 2
    audit: bool = False
    wrap_told: Callable[[Told], Any] = lambda told: told

    def __post_init__(self) -> None:
        asked = {"threshold": self.threshold, "audit": self.audit}
        self.settings = {"capsules": asked} | self.settings
        super().__post_init__()
        accounts = sorted((Account.create() for _ in range(self.members)), key=lambda a: int(a.address, 16))
        policy = Policy(policy=Rules.model_validate({"bits": 288}))
        self.capsules = [
            InProcess(self, account, self.folder / f"capsule-{place}", policy=policy)
            for place, account in enumerate(accounts)
        ]

    def chain_s(self) -> int:
        with _ONE_AT_A_TIME:
            return self.market.head().timestamp_s

    def peers_of(self, one: InProcess) -> dict[Address, Fetch]:
        """How a capsule asks the others what they have told."""

        def fetch(other: InProcess) -> Fetch:
            def told(request: bytes) -> bytes | None:
                try:
                    return None if other.down else other.service.answered(request) or b""
                except SonarError:  # no 404, so over HTTP too it counts as not reached
                    return None

            return told

        return {other.address: fetch(other) for other in self.capsules if other is not one}

    def panel(self) -> Panel:
        asker = Asker(self.market.chain_id, self.market.address, self.scientist, self.chain_s)
        return Panel(
            [
                HttpCapsule(
                    one.address,
                    f"http://capsule-{place}.example",
                    asker,
                    transport=httpx.MockTransport(one.handle),
                )
                for place, one in enumerate(self.capsules)
            ]
        )

    def ring(self) -> Keyring:
        """The bounty's keys, as of a program that was just started."""
        return Keyring(Key.load(self.key_path, "test"))

    def holder(self) -> KeyHolder:
        panel = self.panel()
        holder = holder_behind(self.bounty, self.ring(), panel, self.market)
        holder._told = self.wrap_told(holder._told)
        if self.audit:
            records = Records(Journal(self.folder / "pysonar.sqlite"), self.bounty.settings.name)
            me = Address(self.scientist.address)
            said = (self.bounty, holder, panel, self.market, self.store, records, me, Progress(self.sink))
            self.signing = audited_by(*said)
        return holder
