"""A holder behind three capsules, as tests of holders know one: it takes plain updates, and masks them as
their mines would; and what a campaign does between choice and sum, it does here.

Names of mines become addresses, and a job's manifest names the cover, so its bounty is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_account import Account
from gmpy2 import mpz

from pysonar.capsules.answers import Place
from pysonar.capsules.members import Wanted
from pysonar.keys.holder import Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key, Tell
from pysonar.keys.ledger import Revealed
from pysonar.keys.updates import MineUpdate
from pysonar.keys.veiled import VeiledHolder
from sonar.manifests.model import CoverSpec, KeyManifest, ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.protocol.ids import Address, Cid, Digest, links_of
from sonar.settling.updates import Form
from sonar.store.memory import MemoryStore
from tests.capsule_kit import Service, panel_of
from tests.holder_kit import PLACE
from tests.veil_kit import Capsule, Somewhere, Update, cover_of, make_capsules, new_seeds, veil_over

SITE = Somewhere(PLACE[0], PLACE[1])
SCIENTIST = Account.create()


class Behind:
    """Capsules, store and mines' seeds, which outlast the holder's program."""

    def __init__(self, key: PublicKey, members: int = 3, threshold: int = 2) -> None:
        self.key, self.store = key, MemoryStore()
        self.capsules: tuple[Capsule, ...] = make_capsules(members)
        self.cover: VeilCover = cover_of(self.capsules, threshold, SITE)
        self.fixed: dict[tuple[bytes, int], bytes] = {}
        self.lies: dict[int, Callable[[str, Any], Any]] = {}
        self.before: dict[Address, Callable[[], None]] = {}
        self.asked: list[tuple[int, str]] = []
        self._seeds: dict[tuple[bytes, str], tuple[bytes, ...]] = {}
        self._sent: dict[tuple[bytes, int, str, int, bytes], MineUpdate] = {}
        self._jobs: dict[bytes, Job] = {}

    def job(self, job: Job) -> Job:
        """The same bounty, covered."""
        if job.bounty not in self._jobs:
            manifest = job.manifest.model_copy(update={"cover": self.cover})
            self._jobs[job.bounty] = replace(
                job, scientist=Address(SCIENTIST.address), model=manifest.to_bytes()
            )
        return self._jobs[job.bounty]

    def masked(self, job: Job, round: int, sent: MineUpdate) -> MineUpdate:
        """A plain update as the mine would have sent it; what cannot be one stays as it is."""
        if (
            not sent.rows
            or len(sent.ciphertexts) != job.plan.ciphertexts
            or self.key.bits != job.plan.key_bits
        ):
            return replace(sent, mine=address(sent.mine))
        here = job.bounty, round, sent.mine, sent.rows, sent.name
        if here not in self._sent:
            seeds = self._seeds.setdefault((job.bounty, sent.mine), new_seeds(self.cover))
            manifest = UpdateManifest(
                chain_id=job.chain_id,
                contract=job.contract,
                bounty=job.bounty,
                round=round,
                mine=address(sent.mine),
                model=Cid("dag-cbor", Digest(round.to_bytes(32, "big"))),
                key=self.key.fingerprint,
                rows=sent.rows,
                ciphertexts=len(sent.ciphertexts),
                blobs=links_of(sent.blob),
            )
            update = veil_over(Update(manifest, sent.ciphertexts), self.key, job.plan, self.cover, seeds)
            digest = update.put(self.store, self.key)
            blob = self.key.encode_blob(update.ciphertexts)
            form = Form(job.plan, self.key, are_words=False)
            said = (form, manifest.mine, sent.rows, blob, digest, update.veil)
            self._sent[here] = MineUpdate.read(*said)
        return self._sent[here]

    def services(self) -> list[Service]:
        models = _Manifests(self._jobs)
        return [
            Service(
                capsule,
                SITE,
                Address(SCIENTIST.address),
                models,
                mpz(self.key.n),
                self.store,
                self.fixed,
                lie=self.lies.get(place, lambda _kind, values: values),
                log=lambda kind, place=place: self.asked.append((place, kind)),  # type: ignore[misc]
            )
            for place, capsule in enumerate(self.capsules)
        ]


class _Manifests(Mapping[bytes, ModelManifest]):
    """Of the covered jobs, by their own ids."""

    def __init__(self, jobs: Mapping[bytes, Job]) -> None:
        self._jobs = jobs

    def __getitem__(self, bounty: bytes) -> ModelManifest:
        return next(job.manifest for job in self._jobs.values() if job.bounty == bounty)

    def __iter__(self) -> Iterator[bytes]:
        return (job.bounty for job in self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)


def address(name: str) -> Address:
    return Address("0x" + name.encode().hex().rjust(40, "0")) if not name.startswith("0x") else Address(name)


def name_of(mine: str) -> str:
    return bytes.fromhex(mine[2:]).lstrip(b"\0").decode()


class Masking:
    """A `KeyHolder` that masks what it is given, and fixes what it has chosen before it opens a sum."""

    def __init__(self, key: Key, behind: Behind) -> None:
        panel = panel_of(behind.services(), SCIENTIST, SITE, behind.before)
        self.behind, self._key = behind, key
        self.real = VeiledHolder(key, panel, Place(*SITE), Wanted((), 2, 4096, 2))

    @property
    def public(self) -> PublicKey:
        return self._key.public

    def key(self, job: Job | None = None, round: int = 1) -> KeyManifest:
        return self.real.key(job and self.behind.job(job), round)

    def public_of(self, job: Job, round: int) -> PublicKey:
        return self.real.public_of(self.behind.job(job), round)

    def turn(self, job: Job, round: int) -> bool:
        return self.real.turn(self.behind.job(job), round)

    def on_progress(self, tell: Tell | None) -> None:
        self._key.on_progress(tell)

    def close(self) -> None:
        self.real.close()

    def cover(self) -> CoverSpec:
        return self.behind.cover

    def look(self, job: Job, round: int) -> None:
        self.real.look(job, round)

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        return self.real.encrypt(numbers, job and self.behind.job(job), round)

    def least(self, job: Job) -> int:
        job = self.behind.job(job)
        return self.real.least(job)

    def knows(self, job: Job, round: int) -> bool:
        job = self.behind.job(job)
        return self.real.knows(job, round)

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Any | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        job = self.behind.job(job)
        masked = [self.behind.masked(job, round, one) for one in updates]
        told = self.real.holds(job, round, weights_int, masked, reference, reveals)
        return {name_of(mine): test for mine, test in told.items()}

    def twins(self, job: Job, round: int) -> dict[str, str]:
        job = self.behind.job(job)
        return {name_of(a): name_of(b) for a, b in self.real.twins(job, round).items()}

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        job = self.behind.job(job)
        masked = [self.behind.masked(job, round, one) for one in updates]
        return self.real.choose(job, round, masked, reveals)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        job = self.behind.job(job)
        masked = [self.behind.masked(job, round, one) for one in updates]
        self.real._check(job, weights_int, masked)
        choice = self.real.choose(job, round, masked)
        if choice.manifest:
            self.behind.store.put(choice.manifest, "dag-cbor")
            self.behind.fixed[job.bounty, round] = choice.digest
        return self.real.open_sum(job, round, weights_int, masked)

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        told = self.real.spoilers(self.behind.job(job), round, reveals)
        return {name_of(mine): test for mine, test in told.items()}

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        job = self.behind.job(job)
        return {name_of(mine): score for mine, score in self.real.score(job, round, vectors).items()}

    def revealed(self, job: Job) -> dict[str, Revealed]:
        job = self.behind.job(job)
        return {name_of(mine): one for mine, one in self.real.revealed(job).items()}
