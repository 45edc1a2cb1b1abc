"""A scientist's world: a chain in this process, honest mines of a few lines, a clock that the test moves."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from gmpy2 import mpz

from pysonar.bounty.request import Bounty
from pysonar.campaign.lifecycle import Campaign
from pysonar.campaign.signing import Signing
from pysonar.keys.holder import KeyHolder
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.chain.contract.market import Market
from sonar.chain.contract.token import held
from sonar.chain.deploying.deploy import Deployment, deploy
from sonar.chain.sending.outbox import Outbox
from sonar.data import examples
from sonar.families.quadratic.answer import LocalMap
from sonar.families.registry import family_of
from sonar.home.journal import Journal
from sonar.manifests.model import KeyManifest, ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.affine import affine_update
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.privacy.release import noisy
from sonar.protocol.allowlist import proof_of
from sonar.protocol.events import BountyClosed, BountyPosted, Committed, MinePaid, Withdrawn
from sonar.protocol.ids import Address, BountyId, Cid, Digest, joined, links_of
from sonar.protocol.phase import BountyState, EntryState, Status, status_of
from sonar.protocol.seal import seal as seal_of
from sonar.store.folder import FolderStore
from sonar.store.memory import MemoryStore
from sonar.telling.documents import CampaignSummary
from sonar.telling.progress import Done, ListSink, Progress
from sonar.veil.envelopes import context, seal
from sonar.veil.masks import veiled
from sonar.veil.streams import Place, seed_hash
from tests.chain_kit import NobodySigns, wish
from tests.family_kit import map_of
from tests.quick_chain import chain_of
from tests.token_kit import deploy_token, mint, pay_now
from tests.veil_kit import new_seeds

ETHER = 10**18


@cache
def scientist_key_file_secret() -> tuple[int, int]:
    """Primes of a 1024-bit key, made once: these tests are about the campaign, not about the key."""
    key = Key.generate(1024, insecure=True)
    p, q = key.unsafe_primes()
    return int(p), int(q)


@cache
def shard_map(index: int, of: int, spec: Any, data_frac: int) -> LocalMap:
    table = examples.shard(examples.load("diabetes"), index, of)
    targets = [target.name for target in spec.targets]
    return map_of(spec, table.matrix(spec.features), table.matrix(targets), data_frac)


@cache
def released_map(index: int, of: int, spec: Any, plan: SlotPlan) -> LocalMap:
    """What a mine of this shard releases: drawn once in a process, as a mine freezes it."""
    table, family = examples.shard(examples.load("diabetes"), index, of), family_of(spec)
    sums = family.sums(spec, [table.matrix(family.columns(spec))])
    made: LocalMap = family.released(
        spec, plan, noisy(sums, spec.noise.parts, secrets.token_bytes), sums.rows
    )
    return made


@dataclass
class HonestMine:
    """Commits and reveals in every round that it is not told to miss."""

    world: World
    index: int
    account: LocalAccount
    absent: frozenset[int] = frozenset()
    mute: frozenset[int] = frozenset()
    withhold: frozenset[int] = frozenset()
    late: dict[Cid, bytes] = field(default_factory=dict)
    ready: dict[int, tuple[Digest, bytes, list[bytes]]] = field(default_factory=dict)
    seeds: tuple[bytes, ...] = ()
    veil: Veil | None = None
    spoilt: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.address = Address(self.account.address)
        self.market = self.world.market
        journal = Journal(self.world.folder / f"mine-{self.index}.sqlite")
        self.outbox = Outbox(self.market, self.account, journal, sleep=lambda _s: None)

    def tick(self, bounty: BountyId) -> None:
        head = self.market.head()
        self.outbox.recover(head)
        state = self.market.bounty(bounty, head)
        status, n = status_of(state, head.timestamp_s), state.round
        entry = self.market.entry(bounty, self.address, head)
        done = entry.state if entry.round == n else EntryState.NONE
        if status is Status.COMMIT and done == EntryState.NONE and n not in self.absent:
            if n not in self.ready:  # else the chain has lost its commit
                self.ready[n] = self.train(bounty, n, state.model_digest)
            digest, salt, _ = self.ready[n]
            made = seal_of(self.market.chain_id, self.market.address, bounty, n, self.address, digest, salt)
            self.commit(bounty, state, made)
        elif status is Status.REVEAL and done == EntryState.COMMITTED and n not in self.mute:
            digest, salt, blobs = self.ready[n]
            for data, codec in zip(blobs, ("raw", "dag-cbor"), strict=True):
                if n in self.withhold:
                    self.late[Cid.of_blob(data)] = data
                else:
                    self.world.store.put(data, codec)  # type: ignore[arg-type]
            self.outbox.perform(wish(f"{n}/r"), self.market.reveal(bounty, n, digest, salt))

    def commit(self, bounty: BountyId, state: BountyState, made: bytes) -> None:
        n, terms = state.round, state.terms
        proof = proof_of(self.world.bounty.allowed, self.address) or []
        call = self.market.commit(bounty, n, made, terms.stake_units, asset=terms.asset, proof=proof)
        pay_now(self.market, self.outbox, wish(f"{n}/c"), call)

    def train(self, bounty: BountyId, n: int, model_digest: Digest) -> tuple[Digest, bytes, list[bytes]]:
        store = self.world.store
        model = ModelManifest.from_bytes(store.get(Cid("dag-cbor", model_digest), 1 << 20))
        key = PublicKey.from_bytes(KeyManifest.from_bytes(store.get(model.key, 1 << 16)).n, insecure=True)
        plan = model.slot_plan
        weights = key.decode_blob(
            joined(model.blobs, plan.weights * key.ciphertext_bytes, store.get), plan.weights
        )
        own = self.map(model, plan)
        made = affine_update(key, plan, own.a_int, own.b_int, weights)
        made, self.veil = self.covered(bounty, n, model, key, made)
        update = [key.rerandomise(c, key.blinding(secrets.randbelow)) for c in made]
        return self.sealed(bounty, n, model, key, own.rows, key.encode_blob(update))

    def covered(
        self, bounty: BountyId, n: int, model: ModelManifest, key: PublicKey, made: list[mpz]
    ) -> tuple[list[mpz], Veil | None]:
        """The answer under masks, if the bounty has capsules."""
        cover = model.cover
        if not isinstance(cover, VeilCover):
            return made, None
        sealed = self.envelopes(bounty, cover)
        place = Place(model.digest(), secrets.token_bytes(32), n)
        masked, wraps = veiled(key, model.slot_plan, made, self.seeds, place)
        hashes = tuple(map(seed_hash, self.seeds))
        return masked, Veil(nonce=place.nonce, seeds=hashes, wraps=wraps, envelopes=sealed)

    def envelopes(self, bounty: BountyId, cover: VeilCover) -> tuple[bytes, ...]:
        """The mine's seeds, one set for a bounty, sealed for each member."""
        self.seeds = self.seeds or new_seeds(cover)
        hashes = tuple(map(seed_hash, self.seeds))
        site = self.market.chain_id, self.market.address, bounty, self.address
        sealed = tuple(
            seal(member.hpke, [self.seeds[c] for c in cover.classes.held_by(at)],
                 context(*site, member.epoch, hashes))
            for at, member in enumerate(cover.members)
        )  # fmt: skip
        return tuple(data[:-1] + bytes([data[-1] ^ (at in self.spoilt)]) for at, data in enumerate(sealed))

    def map(self, model: ModelManifest, plan: SlotPlan) -> LocalMap:
        if family_of(model.family).price(model.family) is not None:
            return released_map(self.index, self.world.shards, model.family, plan)
        return shard_map(self.index, self.world.shards, model.family, plan.data_frac)

    def sealed(
        self, bounty: BountyId, n: int, model: ModelManifest, key: PublicKey, rows: int, blob: bytes
    ) -> tuple[Digest, bytes, list[bytes]]:
        manifest = UpdateManifest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=bounty,
            round=n,
            mine=self.address,
            model=model.cid(),
            key=key.fingerprint,
            rows=rows,
            ciphertexts=-(-len(blob) // key.ciphertext_bytes),
            blobs=links_of(blob),
            veil=self.veil,
        )
        return manifest.digest(), secrets.token_bytes(32), [blob, manifest.to_bytes()]


@dataclass
class World:
    """`mines` of `shards` honest mines, one scientist, one chain."""

    folder: Path
    mines: int = 3
    shards: int = 10
    settings: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    min_window_s: int = 1
    accounts: list[LocalAccount] = field(default_factory=list)
    signing: Signing = field(default_factory=NobodySigns)
    quick: bool = True

    def __post_init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.folder.mkdir(exist_ok=True)
        self.accounts = self.accounts or [Account.create() for _ in range(self.mines + 2)]
        self.deployer, self.scientist, *miners = self.accounts
        self.fund = {Address(account.address): 100 * ETHER for account in self.accounts}
        self.chain = chain_of(self.fund, lambda: self.now_s, quick=self.quick)
        deployed: Deployment = deploy(self.chain.rpc(), self.deployer, min_window_s=self.min_window_s)
        self.market: Market = deployed.market(self.chain.rpc())
        self.store: Store = MemoryStore()
        self.sink = ListSink()
        self.miners = [HonestMine(self, i, account) for i, account in enumerate(miners)]
        money = {"stake": "0.1 ether", "fee": "0.01 ether", "reward": "1 ether"}
        if self.token:
            money = self._token_money()
        wanted = {"rounds": 3, "cohort": self.mines, "min_mines": 2, "patience": 0}
        wanted |= {"key_bits": 1024, "insecure_key": True}
        self.window_s = 10 + 3 * self.mines
        names = ("commit_window_s", "reveal_window_s", "settle_window_s")
        windows = dict.fromkeys(names, self.window_s)
        self.bounty = Bounty.example("diabetes", **(wanted | money | windows | self.settings))
        self.key_path = self.folder / "key.json"
        Key(*scientist_key_file_secret()).save(self.key_path, "test", dev=True)

    def _token_money(self) -> dict[str, Any]:
        """A token of this kind, some of it for everybody, and a bounty's amounts in it."""
        outbox = Outbox(self.market, self.deployer, Journal(self.folder / "d.sqlite"), sleep=lambda _s: None)
        self.asset = deploy_token(outbox, self.token)
        for account in self.accounts:
            mint(outbox, self.asset, Address(account.address), 100 * 10**6)
        amounts = {"stake": "0.5 TST", "fee": "1000 units", "reward": "10 TST"}
        return amounts | {"asset": self.asset, "asset_symbol": "TST", "asset_decimals": 6}

    def campaign(self, wrap: Callable[[Any, str], Any] = lambda part, _name: part) -> Campaign:
        """The campaign of a program that was just started. `wrap` may put something around a part."""
        journal = wrap(Journal(self.folder / "pysonar.sqlite"), "journal")
        outbox = Outbox(self.market, self.scientist, journal, sleep=lambda _s: None)
        holder = wrap(self.holder(), "key")
        return Campaign(
            self.market,
            wrap(self.store, "store"),
            wrap(FolderStore(self.folder / "copies"), "copies"),
            holder,
            self.signing,
            wrap(outbox, "outbox"),
            journal,
            self.bounty,
            progress=Progress(self.sink),
        )

    def holder(self) -> KeyHolder:
        """The key's holder, as of a program that was just started."""
        return LocalHolder(Key.load(self.key_path, "test"))

    def move(self, seconds: float = 1) -> None:
        self.now_s = max(self.now_s, self.chain.now_s) + seconds
        self.chain.mine_at(int(self.now_s))

    def run(self, campaign: Campaign, passes: int = 2000) -> Done:
        """Let everybody act in turn; if nobody did anything, a second passes."""
        for _ in range(passes):
            before = self.market.head()
            result = campaign.tick()
            if isinstance(result, Done):
                return result
            self.let_mines_act(campaign)
            if self.market.head() == before:
                self.move()
        raise AssertionError(f"still waiting for {result}")

    @property
    def memory(self) -> MemoryStore:
        """The store, where a test looks at what only one in memory tells."""
        assert isinstance(self.store, MemoryStore)
        return self.store

    def run_to_end(self, campaign: Campaign) -> CampaignSummary:
        """Run it, and return what became of it."""
        summary = self.run(campaign).summary
        assert isinstance(summary, CampaignSummary)
        return summary

    def run_until(self, campaign: Campaign, reached: Callable[[], bool]) -> None:
        for _ in range(500):
            if reached():
                return
            campaign.tick()
            self.let_mines_act(campaign)
            self.move()
        raise AssertionError("not reached")

    def let_mines_act(self, campaign: Campaign) -> None:
        if campaign.id is not None:
            for mine in self.miners:
                mine.tick(campaign.id)

    def events(self, kind: Any) -> list[Any]:
        return [event for event in self.market.events(0) if isinstance(event, kind)]

    def check_money(self) -> None:
        """Every wei that went in is paid, shared or refunded, and can be withdrawn; nothing is left over."""
        (posted,), (closed,) = self.events(BountyPosted), self.events(BountyClosed)
        paid = sum(e.fee_units + e.reward_units for e in self.events(MinePaid))
        shared = sum(e.forfeit_units for e in self.events(MinePaid))
        returned = sum(e.stake_units for e in self.events(MinePaid))
        committed = len(self.events(Committed))
        staked = posted.terms.stake_units * committed
        assert posted.escrow_units + staked == paid + closed.refund_units + shared + returned
        withdrawn = sum(e.amount_units for e in self.events(Withdrawn))
        asset = posted.terms.asset
        owed = sum(self.market.withdrawable(mine.address, asset=asset) for mine in self.miners)
        assert posted.escrow_units + staked == withdrawn + owed
        assert held(self.market, asset, self.market.address) == owed
        assert self.market.withdrawable(Address(self.scientist.address), asset=asset) == 0
