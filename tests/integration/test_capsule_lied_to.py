"""A capsule whose node lies in one way at a time tells what is true, or nothing.

A node that lies consistently can fool its capsule: that is one corrupt capsule, and one of a threshold.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from capsule.means import Means
from capsule.opening.chainview import ChainView
from capsule.problems import CODES, Refused, refused
from capsule.service import Service
from sonar.chain.contract.market import Market
from sonar.errors import SonarError
from sonar.manifests.capsule import FunctionalAnswer, SignedAnswer, SumAnswer
from sonar.protocol.record import Manifest
from sonar.veil.functionals import spread
from tests.integration.liar import KINDS, Liar, Lie
from tests.served_kit import Cap, Town, town_of


class Through(Liar):
    """A node that lies about a chain at an address."""

    def __init__(self, url: str, seed: int) -> None:
        self.url, self.rng, self.hashes_otherwise = url, random.Random(seed), False
        self.lies: list[Lie] = []
        self.told = 0
        self.chain: Any = self  # whose clock a lie looks at
        self.now_s = 0.0
        self._client = httpx.Client()

    def _head(self) -> Any:
        return SimpleNamespace(block_number=int(self.honestly("eth_blockNumber"), 16))

    def _honest(self, request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._client.post(self.url, json=request).json()
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Cap]]:
    with town_of(tmp_path_factory.mktemp("capsules"), 3, 1) as (town, (capsule,)):
        yield town, capsule


def heard(service: Service, kind: str, data: bytes) -> bytes | Refused:
    try:
        return SignedAnswer.from_bytes(service.answer(kind, data)).body
    except SonarError as error:
        return refused(error)


def test_one_lie_at_a_time(world: tuple[Town, Cap], monkeypatch: pytest.MonkeyPatch) -> None:
    town, capsule = world
    done, open_ = (town.post([capsule], threshold=1) for _ in range(2))
    weights = {mine.address: 20 for mine in town.mines}
    for posted in (done, open_):
        town.answer(posted)
    digest = town.fix(done, 1, weights)
    unfixed = town.cohort(open_, 1, weights)
    town.store.put(unfixed.to_bytes(), "dag-cbor")
    mine = town.mines[0].address
    functional = town.functional(done, 1, [(mine, 4, 0)], [spread(done.plan, [1, 2, 3])])
    fair: dict[str, Manifest] = {"functional": functional, "sum": town.sum(done, 1, digest)}
    true = {kind: town.ask(capsule, request) for kind, request in fair.items()}
    assert isinstance(true["functional"], FunctionalAnswer)
    assert isinstance(true["sum"], SumAnswer)
    foul = town.sum(open_, 1, unfixed.digest())
    assert town.refusal(capsule, foul).code == "depth"
    seed = random.SystemRandom().randrange(1 << 32)
    means, told, answered = capsule.means, 0, 0
    # What is on record would be told whatever the chain says: each lie meets a ledger that knows nothing.
    monkeypatch.setattr(means.ledger, "answered", lambda _request: None)
    monkeypatch.setattr(means.ledger, "admit", lambda *_arguments, **_options: None)
    monkeypatch.setattr(time, "sleep", lambda _s: None)
    for number, name in enumerate(sorted(KINDS)):
        for rate in (1.0, 0.5):
            liar = Through(town.chain.url, seed + number)
            market = Market.connect(town.network, liar.rpc())
            lying = Means(
                ChainView(market, 1),
                means.store,
                means.ledger,
                means.witness,
                means.epochs,
                means.account,
                means.policy,
                insecure_keys=True,
            )
            service = Service(lying)
            liar.lies = [Lie(name, 0, 1e12, rate)]
            for kind, request in fair.items():
                data = town.signed(request.to_bytes(), capsule.address).to_bytes()
                found = heard(service, kind, data)
                if isinstance(found, bytes):
                    assert found == true[kind].to_bytes(), (name, seed)
                    answered += 1
                else:
                    assert found.code in CODES.keys() - {"fault"}, (name, seed, found)
            data = town.signed(foul.to_bytes(), capsule.address).to_bytes()
            assert isinstance(heard(service, "sum", data), Refused), (name, seed)
            told += liar.told
    assert told > len(KINDS)
    assert answered  # some lies are about what a capsule does not ask for
