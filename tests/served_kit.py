"""Capsules from real homes on real HTTP, and what a scientist asks them over the wire.

The test opens what she can open, with her key.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount
from gmpy2 import mpz

from capsule import running, setup
from capsule.home.witness import VARIABLE
from capsule.means import Means
from capsule.serve.routes import CBOR, Api
from capsule.serve.server import Server, listening, url_of
from capsule.service import Service
from capsule.services import Services
from capsule.wiring import Capsule, open_capsule
from sonar.chain.signatures import sign_digest, signer_of
from sonar.home import keystore
from sonar.manifests.capsule import (
    Ask,
    FunctionalAnswer,
    FunctionalRequest,
    Part,
    Problem,
    SignedAnswer,
    SignedRequest,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import VeilCover
from sonar.protocol.capsules import answer_digest, request_digest
from sonar.protocol.ids import Address, Cid, Digest
from sonar.protocol.record import Manifest
from sonar.telling.progress import ListSink
from sonar.veil.functionals import Measured, measured, read_vector, write_vector
from sonar.veil.masks import read_wraps
from sonar.veil.sums import unveiled
from tests.town_kit import Posted, Site


class Town(Site):
    """A network whose scientist asks capsules."""

    # ---- what the scientist asks

    def functional(
        self,
        posted: Posted,
        number: int,
        asks: Sequence[tuple[Address, int, int]],
        vectors: Sequence[Sequence[int]],
    ) -> FunctionalRequest:
        """Ask about answers of one round: (mine, bits, number of the vector)."""
        digests = posted.digests(number)
        return FunctionalRequest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=posted.bounty,
            round=number,
            vectors=tuple(write_vector(posted.plan, vector) for vector in vectors),
            asks=tuple(
                Ask(
                    mine=mine,
                    bits=bits,
                    parts=(Part(round=number, update=digests[mine], vector=vector),),
                )
                for mine, bits, vector in asks
            ),
        )

    def sum(self, posted: Posted, number: int, digest: Digest) -> SumRequest:
        return SumRequest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=posted.bounty,
            round=number,
            cohort=digest,
        )

    def signed(
        self,
        body: bytes,
        capsule: Address,
        *,
        by: LocalAccount | None = None,
        nonce: bytes = b"",
        expires_s: int | None = None,
    ) -> SignedRequest:
        nonce = nonce or secrets.token_bytes(32)
        expires_s = self.market.head().timestamp_s + 600 if expires_s is None else expires_s
        market = self.market
        digest = request_digest(market.chain_id, market.address, capsule, nonce, expires_s, body)
        return SignedRequest(
            capsule=capsule,
            nonce=nonce,
            expires_s=expires_s,
            body=body,
            signature=sign_digest(by or self.scientist, digest),
        )

    def ask(self, capsule: Cap, request: Manifest, **options: Any) -> FunctionalAnswer | SumAnswer | Problem:
        """Ask over the wire, and check what comes back: its signature, and that it is about the request."""
        kind = "sum" if isinstance(request, SumRequest) else "functional"
        body = request.to_bytes()
        return self.sent(capsule, kind, self.signed(body, capsule.address, **options).to_bytes(), body)

    def sent(
        self, capsule: Cap, kind: str, data: bytes, body: bytes = b""
    ) -> FunctionalAnswer | SumAnswer | Problem:
        reply = httpx.post(f"{capsule.url}/v1/{kind}", content=data, timeout=60)
        assert reply.headers["content-type"] == CBOR, reply.text
        if reply.status_code != 200:
            return Problem.from_bytes(reply.content)
        signed = SignedAnswer.from_bytes(reply.content)
        digest = answer_digest(self.market.chain_id, self.market.address, signed.body)
        assert signer_of(digest, signed.signature) == capsule.address
        answer: FunctionalAnswer | SumAnswer
        answer = (SumAnswer if kind == "sum" else FunctionalAnswer).from_bytes(signed.body)
        assert answer.capsule == capsule.address
        assert answer.request == Cid.of_manifest(body).digest
        return answer

    def refusal(self, capsule: Cap, request: Manifest, **options: Any) -> Problem:
        found = self.ask(capsule, request, **options)
        assert isinstance(found, Problem), found
        return found

    # ---- what the scientist opens

    def opened(self, posted: Posted, number: int, mine: Address) -> list[mpz]:
        """X of an update: all that her key gives her."""
        return list(self.key.unsafe_decrypt(list(posted.updates[number][mine].ciphertexts)))

    def measure(
        self, posted: Posted, request: FunctionalRequest, told: Mapping[Cap, FunctionalAnswer], ask: int
    ) -> Measured:
        """A functional by what capsules told of it; holders of a class must agree."""
        assert isinstance(posted.cover, VeilCover)
        by_class: dict[int, int] = {}
        for capsule, answer in told.items():
            place = [one.account for one in posted.cover.members].index(capsule.address)
            held = posted.cover.classes.held_by(place)
            for number, value in zip(held, answer.values[ask], strict=True):
                assert by_class.setdefault(number, value) == value
        assert sorted(by_class) == list(range(posted.cover.classes.count))
        asked = request.asks[ask]
        return measured(
            posted.plan,
            [self.key.public.n] * len(asked.parts),
            [read_vector(posted.plan, request.vectors[part.vector]) for part in asked.parts],
            [self.opened(posted, part.round, asked.mine) for part in asked.parts],
            [
                read_wraps(posted.plan, posted.updates[part.round][asked.mine].veil.wraps)
                for part in asked.parts
            ],
            [by_class[number] for number in sorted(by_class)],
            asked.bits,
        )

    def total(self, posted: Posted, cohort: CohortManifest, told: Mapping[Cap, SumAnswer]) -> list[int]:
        """The values of a sum, by what capsules told of its masks."""
        assert isinstance(posted.cover, VeilCover)
        n, width = self.key.public.n, self.key.public.bits // 8
        by_class: dict[int, list[mpz]] = {}
        for capsule, answer in told.items():
            place = [one.account for one in posted.cover.members].index(capsule.address)
            for number, data in zip(posted.cover.classes.held_by(place), answer.sums, strict=True):
                found = [mpz(int.from_bytes(data[i : i + width])) for i in range(0, len(data), width)]
                assert by_class.setdefault(number, found) == found
        sums = [mpz(0)] * posted.plan.ciphertexts
        for one in cohort.addends:
            x = self.opened(posted, cohort.round, one.mine)
            sums = [(total + one.weight * each) % n for total, each in zip(sums, x, strict=True)]
        plain = unveiled(n, sums, [by_class[c] for c in sorted(by_class)])
        return posted.plan.unpack([int(p) for p in plain], weight=sum(one.weight for one in cohort.addends))


@dataclass(frozen=True, eq=False)
class Cap:
    """A capsule that serves in a thread of the test's process."""

    party: Capsule
    service: Service | Services
    url: str

    @property
    def address(self) -> Address:
        return self.party.address

    @property
    def means(self) -> Means:
        assert isinstance(self.service, Service)
        return self.service._means

    @property
    def public(self) -> Any:
        return self.party.keys.public().key


def make_home(town: Town, name: str) -> Path:
    """A capsule's home, as `capsule init` makes it."""
    home = town.folder / name
    home.mkdir(mode=0o700)
    keystore.write_private(home / keystore.BESIDE, b"password\n")
    return setup.make_home(home, town.network_file, "", dev=True, password_file=home / keystore.BESIDE)


@contextmanager
def serving(home: Path) -> Iterator[Cap]:
    """Run the capsule of a home as `capsule run` does, in a thread."""
    party = open_capsule(home, ListSink())
    with party.home.lock():
        password = party.password(None)
        account, former = party.unlock(password), party.unlock_former(password)
        running.check_ledger(party)
        service = party.service(account, former)
        api, made, ready = Api(service), listening("127.0.0.1", 0), threading.Event()
        server = Server(api.app(), ready.set)
        thread = threading.Thread(target=server.serve_on, args=(made,))
        thread.start()
        try:
            assert ready.wait(20)
            yield Cap(party, service, url_of(made))
        finally:
            server.should_exit = True
            thread.join()
            api.close()
            party.close()


@contextmanager
def town_of(
    folder: Path, mines: int = 4, capsules: int = 3, **options: Any
) -> Iterator[tuple[Town, list[Cap]]]:
    """A town with capsules that serve. Their witnesses are in the town's folder, not where the user's are."""
    town = Town(folder, mines, **options)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv(VARIABLE, str(folder / "witness"))
        stack.callback(town.close)
        homes = [make_home(town, f"capsule-{i}") for i in range(capsules)]
        found = [stack.enter_context(serving(home)) for home in homes]
        yield town, sorted(found, key=lambda one: int(one.address, 16))


def fixtures_of(mines: int) -> tuple[Any, Any, Any]:
    """Return a test module's fixtures `world`, a town and its three capsules, `town` and `capsules`.

    The module has them for itself: its tests may move the clock, and ask until a capsule tells no more.
    """

    @pytest.fixture(scope="module")
    def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, list[Cap]]]:
        with town_of(tmp_path_factory.mktemp("capsules"), mines) as made:
            yield made

    @pytest.fixture
    def town(world: tuple[Town, list[Cap]]) -> Town:
        return world[0]

    @pytest.fixture
    def capsules(world: tuple[Town, list[Cap]]) -> list[Cap]:
        return world[1]

    return world, town, capsules
