"""A tiny scientist and small data, enough to lead mines through rounds on a real chain in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from numpy.typing import NDArray

from mine.consent import Policy, TokenPolicy
from mine.data import dataset as data
from mine.node import Node, Options
from mine.work.pool import Pool
from mine.work.state import Book, Part, tell
from mine.work.workshop import Workshop, drafts_at, sums_at
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.chain.contract.calls import Award, transfer
from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import deploy
from sonar.chain.sending.outbox import Outbox
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.families.quadratic.maps.clip import Clip
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.target import Target
from sonar.home.journal import Journal
from sonar.manifests.model import ModelManifest, PaillierCover, PlanSpec, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.slots import Bounds, SlotPlan, encode_weights
from sonar.ports import Store
from sonar.protocol.events import Revealed
from sonar.protocol.ids import ETHER, Address, BountyId, Cid, Digest, joined
from sonar.protocol.phase import BountyState, Status, Terms, status_of
from sonar.settling.updates import Form
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob
from sonar.telling.progress import Done, ListSink, Problem, Progress, Waiting
from tests.chain_kit import Clock, wish
from tests.quick_chain import chain_of
from tests.token_kit import deploy_token, mint, pay_now
from tests.veil_kit import Capsule, cover_of, make_capsules

TOKENS_EACH = 10**8
Wrap = Callable[[Any, str], Any]
FEATURES, TARGET = ("a", "b"), "y"
WEIGHTS = np.array([0.5, -0.25, 2.0])
SPEC = QuadraticSpec(
    features=FEATURES,
    targets=(Target(name=TARGET, centre_q32=0, scale_q32=Q32_ONE, clip_q32=to_q32(100.0)),),
    stages=(Clip(clip_q32=to_q32(8.0)),),
    rows_min=10,
)
TERMS = Terms(ETHER, 3, 2, 2, 60, 60, 60, 10**16, 10**15, 10**18, 1_000_000, 1_000)


@cache
def scientist_key() -> Key:
    return Key.generate(1024, insecure=True)


@cache
def slot_plan() -> SlotPlan:
    bounds = Bounds(weight_max=100 << 16, a_row_l1_max=200 << 20, b_max=1000 << 20)
    return SlotPlan.make(key_bits=1024, weights=3, bounds=bounds, mines_max=10, weight_rows=1000)


def write_csv(path: Path, rows: int = 30, seed: int = 0, extra: str = "note") -> Path:
    """A CSV with the columns that the bounty needs, and one of text that it does not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    y = x @ [3.0, -1.0] + 5 + rng.normal(size=rows) / 10
    lines = [f"{a!r},{b!r},{extra},{t!r}" for (a, b), t in zip(x.tolist(), y.tolist(), strict=True)]
    path.write_text("a,b,remark,y\n" + "\n".join(lines) + "\n")
    return path


def clear_update(path: Path, weights: NDArray[np.float64] = WEIGHTS) -> list[int]:
    """What a mine with this file must send, by plain numpy and integers: b 2^16 - A w, rounded once."""
    table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 3))
    phi = np.column_stack([np.clip(table[:, :2], -8, 8), np.ones(len(table))])
    a = np.rint(phi.T @ phi / len(phi) * 2**20)
    b = np.rint(phi.T @ table[:, 2] / len(phi) * 2**20)
    w = [round(x * 2**16) for x in weights]
    return [int(b[i]) * 2**16 - sum(int(a[i, j]) * w[j] for j in range(3)) for i in range(3)]


class TinyModels:
    """Makes the manifests of one small bounty; knows of no chain."""

    def __init__(self, store: Store, key: Key | None = None) -> None:
        self.store = store
        self.key = key or scientist_key()
        self.cover: PaillierCover | VeilCover = PaillierCover()
        self.family = SPEC
        self.key_manifest = LocalHolder(self.key).key()

    def blob(self, weights: NDArray[np.float64] = WEIGHTS) -> bytes:
        public = self.key.public
        return public.encode_blob(self.key.encrypt_weights(encode_weights(weights, slot_plan())))

    def manifest(self, round_number: int = 1, **changes: Any) -> ModelManifest:
        model = ModelManifest(
            name="tiny",
            round=round_number,
            family=self.family,
            cover=self.cover,
            plan=PlanSpec(**slot_plan().to_dict()),
            key=self.key_manifest.cid(),
            blobs=put_blob(self.store, self.blob()),
            zero_start=False,
            holdout=Digest(b"h" * 32),
        )
        return model.model_copy(update=changes)


class TinyScientist(TinyModels):
    """Posts one bounty and settles its rounds with equal shares."""

    def __init__(self, market: Market, store: Store, outbox: Outbox, key: Key | None = None) -> None:
        super().__init__(store, key)
        self.market, self.outbox = market, outbox
        self.bounty = BountyId(b"")
        self.model: ModelManifest | None = None

    def post(
        self, terms: Terms = TERMS, model: ModelManifest | None = None, raw: bytes | None = None
    ) -> BountyId:
        """Publish the manifests and post the bounty; `raw` replaces the model's bytes."""
        self.model = model or self.manifest()
        data = self.model.to_bytes() if raw is None else raw
        self.store.put(self.key_manifest.to_bytes(), "dag-cbor")
        digest = self.store.put(data, "dag-cbor").digest
        args = (terms, digest, self.key_manifest.digest(), bytes(32))
        self.bounty = self.market.bounty_id(self.outbox.address, *args)
        pay_now(self.market, self.outbox, wish(f"post/{self.bounty.hex()}"), self.market.post(*args))
        return self.bounty

    def cohort(self, round_number: int) -> dict[Address, Digest]:
        return {
            event.mine: event.update_digest
            for event in self.market.events(0, bounty=self.bounty)
            if isinstance(event, Revealed) and event.round == round_number
        }

    def read_update(self, digest: Digest) -> tuple[UpdateManifest, MineUpdate]:
        manifest = UpdateManifest.from_bytes(self.store.get(Cid("dag-cbor", digest), 1 << 16))
        blob = joined(manifest.blobs, manifest.ciphertexts * self.key.public.ciphertext_bytes, self.store.get)
        form = Form(slot_plan(), self.key.public, are_words=False)
        update = MineUpdate.read(form, manifest.mine, manifest.rows, blob)
        return manifest, update

    def settle(
        self,
        shares: dict[Address, int] | None = None,
        loss: int = 500_000,
        evidence: Digest = Digest(b"e" * 32),  # noqa: B008 - bytes
    ) -> None:
        """Settle the current round; without shares, everybody gets the same."""
        state = self.market.bounty(self.bounty)
        cohort = sorted(self.cohort(state.round), key=lambda mine: int(mine, 16))
        if shares is None:
            shares = dict.fromkeys(cohort, 10_000 // len(cohort))
            shares[cohort[0]] += 10_000 - sum(shares.values())
        assert self.model is not None
        model, new_loss = replace_round(self, state.round + 1), loss
        if not any(shares.values()):
            model, new_loss = state.model_digest, state.best_loss
        awards = [Award(mine, shares.get(mine, 0)) for mine in cohort]
        call = self.market.settle(self.bounty, state.round, model, new_loss, awards, evidence)
        self.outbox.perform(wish(f"settle/{self.bounty.hex()}/{state.round}"), call)


def replace_round(scientist: TinyScientist, round_number: int) -> Digest:
    return scientist.store.put(scientist.manifest(round_number).to_bytes(), "dag-cbor").digest


def terms(**changes: Any) -> Terms:
    return replace(TERMS, **changes)


START_S = 1_700_000_000.0


def _no_sleep(_: float) -> None:
    """This chain mines at once."""


class World:
    """A chain with the contract, a scientist, and any number of mines with homes of their own."""

    def __init__(
        self,
        folder: Path,
        store: Store | None = None,
        mines: int = 3,
        token: str = "",
        rich: Sequence[int] | None = None,
        *,
        quick: bool = True,
    ) -> None:
        """With `token`, a kind of token is on the chain; the scientist and the `rich` mines have some."""
        self.folder, self.store = folder, store or MemoryStore()
        self.policy = Policy(insecure_keys=True)
        self.accounts = [Account.create() for _ in range(mines)]
        scientist = Account.create()
        self.clock, self.monotonic = Clock(START_S), Clock(START_S)
        self.fund = {Address(account.address): 10**20 for account in (scientist, *self.accounts)}
        self.chain = chain_of(self.fund, self.clock, quick=quick)
        self.rpc = self.chain.rpc()
        self.deployment = deploy(self.rpc, scientist, min_window_s=1)
        outbox = Outbox(self.market(), scientist, Journal(folder / "scientist.sqlite"), sleep=_no_sleep)
        self.scientist = TinyScientist(self.market(), self.store, outbox)
        if token:
            self.token = deploy_token(outbox, token)
            mine_indices = range(mines) if rich is None else rich
            for party in (outbox.address, *map(self.address, mine_indices)):
                mint(outbox, self.token, party, TOKENS_EACH)
            self.policy = replace(self.policy, tokens={self.token: TokenPolicy(10**6)})

    def veil(self, count: int = 3, threshold: int = 2, **changes: Any) -> tuple[Capsule, ...]:
        """Let the scientist's bounties have capsules, which all mines trust; return these."""
        capsules = make_capsules(count)
        self.policy = self.policy.trusting(one.address for one in capsules)
        self.scientist.cover = cover_of(capsules, threshold, self.market(), **changes)
        return capsules

    def terms(self, **changes: Any) -> Terms:
        """Terms in the world's token."""
        money = {"asset": self.token, "stake_units": 10_000, "fee_units": 100, "reward_units": 10**6}
        return terms(**money | changes)

    def market(self) -> Market:
        return self.deployment.market(self.rpc)

    def address(self, index: int) -> Address:
        return Address(self.accounts[index].address)

    def home(self, index: int) -> Path:
        home = self.folder / f"mine-{index}"
        if not home.exists():
            home.mkdir()
            write_csv(home / "data.csv", seed=index)
        return home

    def book(self, index: int) -> Book:
        return Book(Journal(self.home(index) / "journal.sqlite"))

    def node(
        self,
        index: int,
        *,
        wrap: Wrap = lambda thing, name: thing,
        confirmations: int = 1,
        **options: Any,
    ) -> Node:
        """A mine built from its home, as a fresh process would. `wrap` stands between it and the world."""
        home = self.home(index)
        journal = wrap(Journal(home / "journal.sqlite"), "journal")
        self.progress = ListSink()
        progress = Progress(self.progress, f"mine-{index}")
        book = Book(journal, tell(progress))
        if not book.datasets():
            book.register(data.register_csv(home / "data.csv"))
        market = wrap(self.market(), "market")
        outbox = Outbox(market, self.accounts[index], journal, confirmations=confirmations, sleep=_no_sleep)
        return Node(
            market,
            wrap(self.store, "store"),
            self.address(index),
            wrap(outbox, "outbox"),
            book,
            Workshop(
                wrap(Pool(home / "pool.sqlite"), "pool"),
                wrap(drafts_at(home), "drafts"),
                wrap(sums_at(home), "sums"),
            ),
            self.policy,
            progress,
            Options(**{"join_all": True, "exit_when_done": True, **options}),
            monotonic=self.monotonic,
        )

    def give(self, index: int, wei: int) -> None:
        """Send ether to a mine, from the scientist."""
        self.scientist.outbox.perform(wish(f"gift/{index}"), transfer(self.address(index), wei))

    def problems(self) -> list[Problem]:
        return [event for event in self.progress.events if isinstance(event, Problem)]

    def advance(self, seconds: int) -> None:
        """Move both clocks, and mine a block."""
        self.monotonic.now_s += seconds
        self.clock.now_s = max(self.clock.now_s, self.chain.now_s) + seconds
        self.chain.mine_at(int(self.clock.now_s))

    def state(self) -> BountyState:
        return self.market().bounty(self.scientist.bounty)

    def status(self) -> Status:
        return status_of(self.state(), self.chain.now_s)

    def part(self, index: int, round_number: int) -> Part:
        return self.book(index).part(self.scientist.bounty, round_number)


def run(nodes: Sequence[Node], passes: int = 6) -> list[Waiting | Done]:
    """Let each node tick in turn, a few times."""
    results: list[Waiting | Done] = []
    for _ in range(passes):
        results = [node.tick() for node in nodes]
    return results
