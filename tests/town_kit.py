"""A network for capsules: a real Anvil, a folder as the store, and a scientist and mines of a few lines."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from pysonar.keys.key import Key
from sonar import localchain
from sonar.chain.contract.calls import Award
from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.home.journal import Journal
from sonar.home.settings import StoreConfig
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import CapsuleKey, KeyManifest, ModelManifest, PaillierCover, PlanSpec, VeilCover
from sonar.paillier.slots import VEIL_FREE_BITS, SlotPlan
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.phase import Terms
from sonar.protocol.seal import seal
from sonar.store.folder import FolderStore
from tests import veil_kit as veil
from tests.chain_kit import make_terms, network_of, wish
from tests.holder_kit import manifest_of
from tests.integration.mine_kit import scientist_key

ETHER = 10**18
SALT = b"s" * 32
WEIGHTS = 3


@cache
def plan_of(mines: int) -> SlotPlan:
    """A plan for three weights and so many mines, under the veil."""
    fields = {
        "key_bits": 1024,
        "weights": WEIGHTS,
        "outputs": 1,
        "weight_frac": 16,
        "data_frac": 16,
        "weight_max": 1 << 20,
        "a_row_l1_max": 1 << 24,
        "b_max": 1 << 20,
        "mines_max": mines,
        "weight_rows": 100,
    }
    return SlotPlan.from_dict(fields, free_bits=VEIL_FREE_BITS)


class HasKey(Protocol):
    """A capsule, as far as a cover goes."""

    @property
    def public(self) -> CapsuleKey: ...


@dataclass
class Mine:
    """A mine: its account, and the seeds that it drew for a bounty."""

    account: LocalAccount
    outbox: Outbox
    seeds: dict[BountyId, tuple[bytes, ...]] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return Address(self.account.address)


@dataclass
class Posted:
    """A bounty, and all that the test knows of its rounds."""

    bounty: BountyId
    terms: Terms
    plan: SlotPlan
    cover: VeilCover | PaillierCover
    models: list[ModelManifest]
    updates: dict[int, dict[Address, veil.Update]] = field(default_factory=dict)
    values: dict[int, dict[Address, list[int]]] = field(default_factory=dict)

    def digests(self, number: int) -> dict[Address, Digest]:
        return {mine: one.manifest.digest() for mine, one in self.updates[number].items()}


class Site:
    """A chain with the contract, a store, a scientist and mines. The test moves the chain's clock."""

    def __init__(self, folder: Path, mines: int, confirmations: int = 1) -> None:
        self.folder = folder
        self.scientist: LocalAccount = Account.create()
        accounts: list[LocalAccount] = [Account.create() for _ in range(mines)]
        fund = {Address(one.address): 100 * ETHER for one in (self.scientist, *accounts)}
        self.chain = localchain.start("anvil", fund=fund)
        self.rpc = Rpc(self.chain.url)
        done = deploy(self.rpc, self.scientist, min_window_s=10)
        store = StoreConfig(kind="folder", path=str(folder / "store"))
        self.network = network_of(done, self.chain.url, name="town", confirmations=confirmations, store=store)
        self.network_file = folder / "network.toml"
        self.network.save(self.network_file)
        self.market = Market.connect(self.network, self.rpc)
        self.store = FolderStore(folder / "store")
        self.outbox = self._outbox(self.scientist)
        self.mines = sorted((Mine(one, self._outbox(one)) for one in accounts), key=_by_address)
        self.key: Key = scientist_key()

    def close(self) -> None:
        self.rpc.close()
        self.chain.stop()

    def _outbox(self, account: LocalAccount) -> Outbox:
        return Outbox(self.market, account, Journal(self.folder / f"{account.address}.sqlite"), sleep=_nap)

    def pass_time(self, seconds: int) -> None:
        self.rpc.call("evm_increaseTime", seconds)
        self.rpc.call("evm_mine")

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.rpc.call("evm_mine")

    # ---- what the scientist does on the chain

    def post(self, members: Sequence[HasKey], threshold: int = 2, **options: Any) -> Posted:
        """Post a bounty whose cover has these capsules; without any it has no veil."""
        bits, cap = options.pop("bits", 512), options.pop("cohort_cap", len(self.mines))
        cover: VeilCover | PaillierCover = PaillierCover()
        if members:
            keys = sorted((one.public for one in members), key=lambda key: int(key.account, 16))
            cover = VeilCover(threshold=threshold, members=tuple(keys), bits=bits)
        plan, n = plan_of(cap), self.key.public
        proof = options.pop("proof", self.key.proof)
        key = KeyManifest(bits=n.bits, n=n.to_bytes(), proof=proof)
        changes = options.pop("model", {})
        first = manifest_of(plan, "town", 1).model_copy(
            update={"cover": cover, "key": key.cid(), "plan": PlanSpec.parse(plan.to_dict())} | changes
        )
        windows = {f"{name}_window_s": 600 for name in ("commit", "reveal", "settle")}
        terms = make_terms(**{"cohort_cap": cap, "rounds": 9} | windows | options)
        for one in (key, first):
            self.store.put(one.to_bytes(), "dag-cbor")
        salt = secrets.token_bytes(32)
        call = self.market.post(terms, first.digest(), key.digest(), salt)
        self.outbox.perform(wish(f"post/{salt.hex()}"), call)
        bounty = self.market.bounty_id(
            Address(self.scientist.address), terms, first.digest(), key.digest(), salt
        )
        return Posted(bounty, terms, plan, cover, [first])

    def fix(self, posted: Posted, number: int, weights: Mapping[Address, int], **changes: Any) -> Digest:
        """Fix a set by its weights; `changes` are to the manifest's fields."""
        cohort = self.cohort(posted, number, weights, **changes)
        self.store.put(cohort.to_bytes(), "dag-cbor")
        return self.fix_digest(posted, number, cohort.digest())

    def fix_digest(self, posted: Posted, number: int, digest: Digest) -> Digest:
        call = self.market.fix_cohort(posted.bounty, number, digest)
        self.outbox.perform(wish(f"fix/{posted.bounty.hex()}/{number}"), call)
        return digest

    def cohort(
        self, posted: Posted, number: int, weights: Mapping[Address, int], **changes: Any
    ) -> CohortManifest:
        digests = posted.digests(number)
        addends = tuple(
            Addend(mine=mine, update=digests[mine], weight=weight)
            for mine, weight in sorted(weights.items(), key=lambda one: int(one[0], 16))
        )
        fields: dict[str, Any] = {
            "chain_id": self.market.chain_id,
            "contract": self.market.address,
            "bounty": posted.bounty,
            "round": number,
            "addends": addends,
        }
        return CohortManifest(**fields | changes)

    def settle(self, posted: Posted, number: int) -> None:
        """Settle a round with equal shares, and go on with a new model."""
        model = posted.models[-1].model_copy(update={"round": number + 1})
        self.store.put(model.to_bytes(), "dag-cbor")
        posted.models.append(model)
        mines = list(posted.updates[number])
        shares = [10_000 // len(mines)] * len(mines)
        shares[0] += 10_000 - sum(shares)
        awards = [Award(mine, share) for mine, share in zip(mines, shares, strict=True)]
        loss = posted.terms.initial_loss - number
        call = self.market.settle(posted.bounty, number, model.digest(), loss, awards, Digest(b"e" * 32))
        self.outbox.perform(wish(f"settle/{posted.bounty.hex()}/{number}"), call)

    # ---- what the mines do

    def answer(
        self,
        posted: Posted,
        number: int = 1,
        absent: Sequence[int] = (),
        lies: Mapping[int, Any] | None = None,
        rows: int = 40,
    ) -> None:
        """All mines but the absent ones commit and reveal; `lies` turn the update of one into another."""
        there = [mine for index, mine in enumerate(self.mines) if index not in absent]
        made = {}
        for index, mine in enumerate(there):
            update = self._update(posted, number, mine, index, rows)
            if lies and self.mines.index(mine) in lies:
                update = lies[self.mines.index(mine)](update)
            update.put(self.store, self.key.public)
            made[mine.address] = update
        self.commit(posted, number, there, made)

    def commit(
        self, posted: Posted, number: int, there: Sequence[Mine], made: dict[Address, veil.Update]
    ) -> None:
        bounty, terms = posted.bounty, posted.terms
        posted.updates[number] = made
        for mine in there:
            digest = made[mine.address].manifest.digest()
            sealed = seal(
                self.market.chain_id, self.market.address, bounty, number, mine.address, digest, SALT
            )
            call = self.market.commit(bounty, number, sealed, terms.stake_units)
            mine.outbox.perform(wish(f"commit/{bounty.hex()}/{number}"), call)
        if len(there) < terms.cohort_cap:
            self.pass_time(terms.commit_window_s)
        for mine in there:
            digest = made[mine.address].manifest.digest()
            call = self.market.reveal(bounty, number, digest, SALT)
            mine.outbox.perform(wish(f"reveal/{bounty.hex()}/{number}"), call)

    def _update(self, posted: Posted, number: int, mine: Mine, index: int, rows: int) -> veil.Update:
        values = [(-1) ** index * (1000 * number + 10 * index + place) for place in range(WEIGHTS)]
        posted.values.setdefault(number, {})[mine.address] = values
        plain = veil.plain_update(
            self.key.public,
            posted.plan,
            values,
            mine=mine.address,
            round_number=number,
            rows=rows,
            bounty=posted.bounty,
            model=posted.models[number - 1].cid(),
            site=self.market,
        )
        if posted.cover.kind == "paillier":
            return plain
        seeds = mine.seeds.setdefault(posted.bounty, veil.new_seeds(posted.cover))
        return veil.veil_over(plain, self.key.public, posted.plan, posted.cover, seeds)


def _by_address(mine: Mine) -> int:
    return int(mine.address, 16)


def _nap(seconds: float) -> None:
    time.sleep(min(seconds, 0.02))
