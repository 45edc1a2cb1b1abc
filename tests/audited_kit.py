"""A bounty whose capsules audit it, on a real Anvil: a committee that signs, mines of a few lines, and lies.

audited = Audited(folder)
posted = audited.run(Lies(shares=...))         # two settled rounds
told = audited.verify(posted)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar import localchain
from sonar.chain.contract.calls import Award
from sonar.chain.contract.market import Market
from sonar.chain.deploying.committee import committee_signature, ensure_committee
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.chain.signatures import sign_digest
from sonar.home.journal import Journal
from sonar.home.settings import StoreConfig
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.manifests.model import AuditSpec, KeyManifest, ModelManifest, PlanSpec, VeilCover
from sonar.paillier.slots import VEIL_FREE_BITS, SlotPlan
from sonar.protocol.events import BountyPosted
from sonar.protocol.ids import Address, BountyId, Digest, links_of
from sonar.protocol.seal import seal
from sonar.store.folder import FolderStore
from sonar.store.mend import put_blob
from sonar.telling.verdicts import BountyVerified, Finding
from sonar.verifying.reading import verify
from tests import veil_kit as veil
from tests.chain_kit import make_terms, network_of, wish
from tests.holder_kit import manifest_of
from tests.integration.mine_kit import scientist_key

ETHER = 10**18
SHARES = (5_000, 3_000, 2_000)
ROWS = 40
PLAN = SlotPlan.from_dict(
    {
        "key_bits": 1024,
        "weights": 3,
        "outputs": 1,
        "weight_frac": 16,
        "data_frac": 16,
        "weight_max": 1 << 20,
        "a_row_l1_max": 1 << 24,
        "b_max": 1 << 20,
        "mines_max": 3,
        "weight_rows": 100,
    },
    free_bits=VEIL_FREE_BITS,
)


def same(number: int, value: Any) -> Any:
    """No lie."""
    del number
    return value


def false(told: BountyVerified) -> list[tuple[int, Finding]]:
    """What is false, with its round."""
    return [
        (one.round, finding) for one in told.rounds for finding in one.findings if finding.kind == "false"
    ]


def kinds(told: BountyVerified, kind: str) -> list[tuple[int, str]]:
    return [(one.round, f.field) for one in told.rounds for f in one.findings if f.kind == kind]


def keep(mine: str, update: veil.Update) -> veil.Update:
    """No lie."""
    del mine
    return update


@dataclass(frozen=True)
class Lies:
    """What is said in place of the truth: each takes the round, and what an honest party would say.

    `update` of the first mine; `evidence` of its fields. `signers`: which capsules sign; `threshold`: of the
    committee that the terms name.
    """

    update: Callable[[int, veil.Update], veil.Update] = same
    cohort: Callable[[int, CohortManifest], CohortManifest] = same
    evidence: Callable[[int, dict[str, Any]], dict[str, Any]] = same
    model: Callable[[int, ModelManifest], ModelManifest] = same
    cover: Callable[[int, VeilCover], VeilCover] = same
    fixed: bool = True
    signers: tuple[int, ...] = (0, 2)
    threshold: int = 2


HONEST = Lies()


@dataclass
class Posted:
    """A bounty, and what it is made of."""

    event: BountyPosted
    cover: VeilCover
    models: list[ModelManifest]
    seeds: dict[Address, tuple[bytes, ...]] = field(default_factory=dict)
    evidence: list[EvidenceManifest] = field(default_factory=list)
    updates: list[Mapping[Address, veil.Update]] = field(default_factory=list)


class Audited:
    """A network with three capsules and three mines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scientist: LocalAccount = Account.create()
        made: list[LocalAccount] = [Account.create() for _ in range(3)]
        self.mines = sorted(made, key=lambda account: int(account.address, 16))
        fund = {Address(one.address): 100 * ETHER for one in (self.scientist, *self.mines)}
        self.chain = localchain.start("anvil", fund=fund)
        self.rpc = Rpc(self.chain.url)
        done = deploy(self.rpc, self.scientist, min_window_s=10)
        store = StoreConfig(kind="folder", path=str(folder / "store"))
        self.network = network_of(done, self.chain.url, name="audited", store=store)
        self.network_file = folder / "network.toml"
        self.network.save(self.network_file)
        self.market = Market.connect(self.network, self.rpc)
        self.store = FolderStore(folder / "store")
        self.capsules = veil.make_capsules(3)
        accounts = (self.scientist, *self.mines)
        self.outboxes = {
            one.address: Outbox(self.market, one, Journal(folder / f"{one.address}.sqlite"))
            for one in accounts
        }
        self.key = scientist_key()
        self.every: Callable[[str, veil.Update], veil.Update] = keep

    def close(self) -> None:
        self.rpc.close()
        self.chain.stop()

    def verify(self, posted: Posted, market: Market | None = None) -> BountyVerified:
        return verify(market or self.market, lambda: self.store, posted.event)

    def run(self, lies: Lies = HONEST, rounds: int = 2) -> Posted:
        """A bounty of so many settled rounds."""
        posted = self.post(lies, rounds)
        for number in range(1, rounds + 1):
            self.reveal(posted, number, lies)
            self.settle(posted, number, lies)
        return posted

    # ---- steps

    def post(self, lies: Lies = HONEST, rounds: int = 2) -> Posted:
        audit = AuditSpec(optimiser=Digest(b"o" * 32))
        cover = lies.cover(0, veil.cover_of(self.capsules, 2, self.market, audit=audit))
        members = [capsule.address for capsule in self.capsules]
        outbox = self.outboxes[self.scientist.address]
        settler = ensure_committee(self.market, outbox, members, lies.threshold).address
        public = self.key.public
        key = KeyManifest(bits=public.bits, n=public.to_bytes(), proof=self.key.proof)
        fields = {
            "cover": cover,
            "key": key.cid(),
            "plan": PlanSpec.parse(PLAN.to_dict()),
            "blobs": self._weights(),
        }
        model = lies.model(0, manifest_of(PLAN, "audited", 1).model_copy(update=fields))
        for manifest in (key, model):
            self.store.put(manifest.to_bytes(), "dag-cbor")
        windows = {f"{name}_window_s": 600 for name in ("commit", "reveal", "settle")}
        terms = make_terms(rounds=rounds, settler=settler, **windows)
        salt = secrets.token_bytes(32)
        call = self.market.post(terms, model.digest(), key.digest(), salt)
        outbox.perform(wish(f"post {salt.hex()}"), call)
        ids = (Address(self.scientist.address), terms, model.digest(), key.digest(), salt)
        event = self.market.posting(self.market.bounty_id(*ids))
        assert event is not None
        return Posted(event, cover, [model])

    def _weights(self) -> tuple[Any, ...]:
        public = self.key.public
        made = [public.encrypt(0, secrets.randbelow(2**512) + 1) for _ in range(PLAN.weights)]
        return put_blob(self.store, public.encode_blob(made))

    def reveal(self, posted: Posted, number: int, lies: Lies = HONEST) -> None:
        """All mines commit and reveal."""
        bounty, updates = posted.event.bounty, dict[Address, veil.Update]()
        for index, mine in enumerate(self.mines):
            update = self._update(posted, number, Address(mine.address))
            update = self.every(mine.address, lies.update(number, update) if index == 0 else update)
            own = links_of(self.key.public.encode_blob(update.ciphertexts)) == update.manifest.blobs
            update.put(self.store, self.key.public, blob=own)
            updates[Address(mine.address)] = update
        posted.updates.append(updates)
        for name in ("commit", "reveal"):
            for address, update in updates.items():
                call = self._call(name, bounty, number, address, update.manifest.digest())
                self.outboxes[address].perform(wish(f"{name} {bounty.hex()} {number}"), call)

    def _call(self, name: str, bounty: BountyId, number: int, mine: Address, digest: Digest) -> Any:
        market, salt = self.market, mine.encode()[:32]
        if name == "reveal":
            return market.reveal(bounty, number, digest, salt)
        made = seal(market.chain_id, market.address, bounty, number, mine, digest, salt)
        return market.commit(bounty, number, made, make_terms().stake_units)

    def _update(self, posted: Posted, number: int, mine: Address) -> veil.Update:
        plain = veil.plain_update(
            self.key.public,
            PLAN,
            [number, 2, 3],
            mine=mine,
            round_number=number,
            rows=ROWS,
            bounty=posted.event.bounty,
            model=posted.models[-1].cid(),
            site=self.market,
        )
        seeds = posted.seeds.setdefault(mine, veil.new_seeds(posted.cover))
        return veil.veil_over(plain, self.key.public, PLAN, posted.cover, seeds)

    def settle(self, posted: Posted, number: int, lies: Lies = HONEST) -> None:
        """Fix the cohort, publish model and evidence, have them signed, and settle."""
        bounty, updates = posted.event.bounty, posted.updates[-1]
        outbox = self.outboxes[self.scientist.address]
        if lies.fixed:
            cohort = lies.cohort(number, self._cohort(bounty, number, updates))
            self.store.put(cohort.to_bytes(), "dag-cbor")
            call = self.market.fix_cohort(bounty, number, cohort.digest())
            outbox.perform(wish(f"fix {bounty.hex()} {number}"), call)
        asked = posted.models[-1]
        model = asked.model_copy(update={"round": number + 1, "blobs": self._weights()})
        model = lies.model(number, model)
        loss = posted.event.terms.initial_loss - 100 * number
        evidence = EvidenceManifest(
            **lies.evidence(number, self._evidence(bounty, number, updates, (asked, model), loss))
        )
        for manifest in (model, evidence):
            self.store.put(manifest.to_bytes(), "dag-cbor")
        posted.models.append(model)
        posted.evidence.append(evidence)
        awards = [Award(mine, share) for mine, share in zip(updates, SHARES, strict=True)]
        settlement = (bounty, number, model.digest(), loss, awards, evidence.digest())
        digest = self.market.settlement_digest(*settlement)
        signature = self.signature(digest, lies.signers, lies.threshold)
        call = self.market.settle(*settlement, signature)
        outbox.perform(wish(f"settle {bounty.hex()} {number}"), call)

    def signature(self, digest: bytes, signers: Sequence[int], threshold: int) -> bytes:
        signed = {self.capsules[i].address: sign_digest(self.capsules[i].account, digest) for i in signers}
        return committee_signature(digest, signed, threshold)

    def _cohort(
        self, bounty: BountyId, number: int, updates: Mapping[Address, veil.Update]
    ) -> CohortManifest:
        addends = tuple(
            Addend(mine=mine, update=update.manifest.digest(), weight=ROWS)
            for mine, update in updates.items()
        )
        return CohortManifest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=bounty,
            round=number,
            addends=addends,
        )

    def _evidence(
        self,
        bounty: BountyId,
        number: int,
        updates: Mapping[Address, veil.Update],
        models: tuple[ModelManifest, ModelManifest],
        loss: int,
    ) -> dict[str, Any]:
        members = tuple(
            CohortMember(mine=mine, update=one.manifest.digest(), rows=ROWS, accepted=True, share_bps=share)
            for (mine, one), share in zip(updates.items(), SHARES, strict=True)
        )
        return {
            "chain_id": self.market.chain_id,
            "contract": self.market.address,
            "bounty": bounty,
            "round": number,
            "model": models[0].cid(),
            "new_model": models[1].cid(),
            "loss": loss,
            "best_loss": loss,
            "accepted_rows": 3 * ROWS,
            "aggregate": Digest(b"a" * 32),
            "cohort": members,
        }
