"""Training on encrypted weights: read what a bounty asks for, turn the data into sums once, make updates.

An update is the family's answer, re-randomised with a blinding from the pool so that the key holder, who
knows the factors, cannot read the sums from it. The sums are checked against the digest recorded at joining:
a changed file, library or machine is noticed before it could change an update.

A data set's sums for a bounty are computed once, released once, and kept while the bounty lasts. The journal
names the sums by their digest (`Joined.map_digest`), and the bytes are in a private folder of the home under
that name. So an update does not read the data again; each round only checks that they have not changed. Sums
that are lost or damaged are computed again, and must have the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gmpy2 import gcd, mpz

from mine import consent
from mine.consent import Policy
from mine.data.dataset import DataSet
from mine.privacy.accounts import Asked
from mine.privacy.ledger import Ledger
from mine.work import veil
from mine.work.pool import Pool
from mine.work.release import Drawing, released
from mine.work.state import Joined, Veiled
from mine.work.veil import Site
from sonar.cores import cores_allowed, in_processes
from sonar.data.names import missing_column, plain_name, plain_names, spelled, twice
from sonar.errors import ConsentError, DataError, ManifestError
from sonar.families import question
from sonar.families.base import Matrix, Prepared
from sonar.families.registry import AnyFamily, family_of
from sonar.home.folder import PrivateFolder
from sonar.manifests.model import FROZEN, AllowList, KeyManifest, ModelManifest
from sonar.paillier.public import PublicKey, check_proof
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.privacy.terms import Price
from sonar.protocol import allowlist
from sonar.protocol.ids import ZERO32, Address, Cid, Digest, joined
from sonar.protocol.phase import BountyState
from sonar.settling.updates import Form
from sonar.veil.masks import Words
from sonar.veil.words import to_words

_REPORT = "the bounty is malformed: do not join it, and tell its scientist"
LONG_S = 3.0
"""From this duration on, other processes are worth their start, which takes most of a second."""


@dataclass(frozen=True)
class Task:
    """What a bounty asks for, from its first round's manifests, checked.

    `key` is that of one round, which `at_round` brings up to date: the manifest `linked` describes it.
    `allowed`: the mines that may take part; None for all. `moduli`: those of the bounty's keys that are
    known. `bounty` is the same for no two bounties of any chain.
    """

    model: ModelManifest
    key: PublicKey
    plan: SlotPlan
    allowed: tuple[Address, ...] | None
    linked: Cid
    moduli: frozenset[mpz]
    bounty: bytes

    @property
    def seconds(self) -> float:
        """About how long an update takes on one core."""
        return self.family.seconds(self.model.family, self.plan)

    @property
    def form(self) -> Form:
        """How answers lie in their blobs, in the round of `key`."""
        return Form(self.plan, self.key, self.model.answers_are_words)

    @property
    def blindings(self) -> int:
        """How many an update takes: one for each ciphertext, and words are none."""
        return 0 if self.form.are_words else self.plan.ciphertexts

    @property
    def family(self) -> AnyFamily:
        """What computes the answers."""
        return family_of(self.model.family)

    @property
    def veil(self) -> Veiled | None:
        """What the capsules of the bounty may do, if it has some."""
        return Veiled.of(self.model.cover) if self.model.cover.kind == "veil" else None

    @property
    def epochs(self) -> dict[str, int]:
        """Of which epoch the capsules' keys are, by account."""
        cover = self.model.cover
        return {one.account: one.epoch for one in cover.members} if cover.kind == "veil" else {}

    @property
    def price(self) -> Price | None:
        """What a release costs; None for a bounty without noise."""
        return self.family.price(self.model.family)

    def asked(self, least_mines: int) -> Asked:
        """What the bounty asks of rows; `least_mines` is of its terms."""
        price, veil = self.price, self.veil
        sums = b"" if price is None else self.sums_id(price)
        bits = veil.bits_in_all if veil else 0
        return Asked(price, sums, veil is not None, bits, least_mines, self._all_weigh_alike())

    def sums_id(self, price: Price) -> bytes:
        """What noisy sums are known by. Shared noise is for one bounty alone.

        Over two bounties with other cohorts, sums of the same noisy numbers would have differences in which
        the others' noise cancels (the protocol's page on privacy).
        """
        found: bytes = self.family.sums_id(self.model.family)
        return found + self.bounty if price.shared else found

    def _all_weigh_alike(self) -> bool:
        """Whether a mine with one row less than count could not take part."""
        try:
            self.family.check_rows(self.model.family, self.plan.weight_rows - 1)
        except ConsentError:
            return True
        return False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a data set must have: the features, then the targets."""
        return self.family.columns(self.model.family)

    def rows(self, dataset: DataSet) -> Iterable[Matrix]:
        """Yield a data set's rows as the family takes them. Raises DataError."""
        return self.family.read(self.model.family, dataset)


def read_task(
    site: Site, store: Store, bounty: BountyState, model_digest: Digest, key_digest: Digest, policy: Policy
) -> Task:
    """Fetch and check the first round's model manifest and the key it names. `site` is the market.

    Raises ManifestError, CiphertextError, PlanError, ConsentError, BlobNotFound, StoreUnavailable.
    """
    model = read_model(store, model_digest, 1)
    if model.key.digest != key_digest:
        raise ManifestError("model.key", "is not the key that the bounty was posted with", hint=_REPORT)
    veil.check_cover(model.cover, site, policy)
    family, spec = family_of(model.family), model.family
    consent.check_model(
        values=model.plan.weights,
        visible=family.visible,
        key_bits=model.plan.key_bits,
        blob_bytes=family.numbers(spec) * (8 if family.visible else model.plan.key_bits // 4),
        policy=policy,
    )
    plan = model.slot_plan
    consent.check_work(family.seconds(spec, plan), bounty.terms, policy)
    family.check_noise(spec, plan)
    family.check_asked(spec, bounty.terms.rounds)
    key = read_key(store, model, policy)
    if plan.mines_max < bounty.terms.cohort_cap:
        raise ManifestError(
            "model.plan.mines_max",
            f"is {plan.mines_max}, but the bounty takes {bounty.terms.cohort_cap} mines",
            hint=_REPORT,
        )
    allowed = read_allowed(store, bounty, model)
    where = b"%d/%s/" % (site.chain_id, site.address.encode()) + bounty.bounty
    return Task(model, key, plan, allowed, model.key, frozenset({key.n}), where)


def read_allowed(store: Store, bounty: BountyState, model: ModelManifest) -> tuple[Address, ...] | None:
    """Fetch a bounty's allow-list and check it against the root in the terms; None if it has none.

    Raises as `read_task`.
    """
    root = bounty.terms.allow_root
    if (root == ZERO32) != (model.allow_list is None):
        problem = "is missing" if model.allow_list is None else "is there"
        has = "no" if root == ZERO32 else "an"
        raise ManifestError(
            "model.allow_list", f"{problem}, and the terms have {has} allow-root", hint=_REPORT
        )
    if model.allow_list is None:
        return None
    mines = AllowList.from_bytes(store.get(model.allow_list, AllowList.max_bytes)).mines
    if allowlist.root_of(mines) != root:
        raise ManifestError(
            "model.allow_list", "is not the list that the terms name by its root", hint=_REPORT
        )
    return mines


def proof(task: Task, me: Address) -> list[bytes]:
    """Return what shows the contract that `me` may take part; empty where all may. Raises ConsentError."""
    if task.allowed is None:
        return []
    found = allowlist.proof_of(task.allowed, me)
    if found is None:
        raise ConsentError(
            f"{me} is not on the bounty's allow-list of {len(task.allowed)} mines",
            hint="a list cannot be changed: ask the scientist for a place in her next bounty, under this "
            "account if the list has a former one of yours",
        )
    return found


def read_model(store: Store, digest: Digest, round_number: int) -> ModelManifest:
    """Fetch the model manifest that a round trains, by the digest that the contract holds."""
    model = ModelManifest.from_bytes(store.get(Cid("dag-cbor", digest), ModelManifest.max_bytes))
    if model.round > round_number:  # a failed round leaves the next one an older model
        raise ManifestError("model.round", f"is {model.round}, in round {round_number}", hint=_REPORT)
    return model


def read_key(store: Store, model: ModelManifest, policy: Policy) -> PublicKey:
    """Fetch the key manifest that `model` links to, and check the modulus and its proof."""
    manifest = KeyManifest.from_bytes(store.get(model.key, KeyManifest.max_bytes))
    if manifest.bits != model.plan.key_bits:
        raise ManifestError(
            "model.plan.key_bits", f"is {model.plan.key_bits}, the key has {manifest.bits} bits", hint=_REPORT
        )
    key = PublicKey.from_bytes(manifest.n, insecure=policy.insecure_keys)
    check_proof(key, manifest.proof)
    return key


def at_round(task: Task, store: Store, model: ModelManifest, policy: Policy) -> Task:
    """Return what a bounty asks for in the round of `model`, whose key may be another than before.

    Raises ManifestError, CiphertextError, BlobNotFound, StoreUnavailable.
    """
    check_frozen(task, model)
    if model.key == task.linked:
        return task
    key = read_key(store, model, policy)
    if any(gcd(key.n, n) not in (1, n) for n in task.moduli):
        raise ManifestError(
            "model.key",
            f"of round {model.round} has a factor in common with another key of this bounty, so that anybody "
            "can compute both and read every answer",
            hint="tell its scientist to change the key again; nothing is committed until then",
        )
    return replace(task, key=key, linked=model.key, moduli=task.moduli | {key.n})


def check_frozen(task: Task, model: ModelManifest) -> None:
    """Check that a later round's model differs from the first only in its weights and its key.

    Raises ManifestError.
    """
    for field in FROZEN:
        if getattr(model, field) != getattr(task.model, field):
            raise ManifestError(
                f"model.{field}",
                f"has changed since round 1 of the bounty (round {model.round})",
                hint="the difference of the answers could reveal your data; leave the bounty",
            )


def read_question(store: Store, task: Task, model: ModelManifest) -> list[mpz]:
    """Fetch what a round asks about, and check each number. `task` is of the round.

    Raises ManifestError, CiphertextError, BlobNotFound, StoreUnavailable.
    """
    spec = task.model.family
    blob = joined(model.blobs, question.bytes_of(task.family, spec, task.key), store.get)
    return question.read_question(task.family, spec, task.key, blob)


def prepare(task: Task, dataset: DataSet) -> Prepared:
    """Turn the data set into what every answer is made of, after every check that protects its rows.

    Raises DataError, ConsentError, BoundsError.
    """
    spec = task.model.family
    task.family.check_rows(spec, dataset.rows)
    prepared: Prepared = task.family.prepare(spec, task.plan, task.rows(dataset))
    return prepared


def try_out(task: Task, dataset: DataSet) -> None:
    """Compute what joining computes of a data set, and keep and release none of it. Raises as `prepare`."""
    if task.price is None:
        prepare(task, dataset)
    else:
        task.family.sums(task.model.family, task.rows(dataset))


def restored(task: Task, data: bytes) -> Prepared:
    """Return what `Prepared.to_bytes` made, for the same task. Raises DataError."""
    prepared: Prepared = task.family.restored(task.model.family, task.plan, data)
    return prepared


def check_map(prepared: Prepared, recorded: str) -> None:
    """Check that the sums are what they were at joining. Raises ConsentError."""
    if prepared.digest() != recorded:
        raise ConsentError(
            "the data give other sums than when the bounty was joined",
            hint="go back to the version of Sonar and numpy that joined it; "
            "the difference of two maps could reveal your data",
        )


def make_update(task: Task, prepared: Prepared, asked: list[mpz], pool: Pool, dataset: DataSet) -> list[mpz]:
    """Return the answer to a question, re-randomised; a long product over the cores allowed.

    Raises CiphertextError, BoundsError, ConfigError; DataError if the data must be read and have changed.
    """
    parts, rows = cores_allowed() if task.seconds >= LONG_S else 1, lambda: task.rows(dataset)
    update = task.family.answer(
        task.key, task.plan, prepared, asked, rows=rows, parts=parts, run=in_processes
    )
    blindings = pool.take(task.key, len(update))
    return [task.key.rerandomise(c, blinding) for c, blinding in zip(update, blindings, strict=True)]


def make_words(task: Task, prepared: Prepared, asked: list[mpz], dataset: DataSet) -> Words:
    """Return the answer to a question that everybody sees, uint64[plan.weights], in the clear.

    Raises as `make_update`.
    """
    numbers = [int(number) for number in asked]
    return to_words(task.family.values(task.plan, prepared, numbers, lambda: task.rows(dataset)))


def fits(task: Task, dataset: DataSet) -> None:
    """Check by names and counts alone whether a data set could serve. Raises DataError, ConsentError."""
    if name := twice(plain_names(task.columns)):
        raise DataError(f"column {spelled(name)}", "is the name of two columns of the bounty", hint=_REPORT)
    declared = bool(task.family.schema(task.model.family))
    missing = dataset.missing(task.columns, declared=declared)
    if missing:
        there = (*dataset.columns, *dataset.declarable) if declared else dataset.columns
        told = missing_column(missing[0], there)
        more = f", nor {', '.join(map(repr, missing[1:20]))}" + ", …" * (len(missing) > 20)
        more = more if len(missing) > 1 else ""
        out = dataset.left_out.get(plain_name(missing[0]), "")
        raise DataError(
            f"data set {dataset.name!r}",
            f"has no column {missing[0]!r}{more}{told.problem.removeprefix('is missing')}"
            + (f"; it was left out when it was registered: {out}" if out else ""),
            hint=f"{told.hint}; the bounty needs {', '.join(map(repr, task.columns[:20]))}",
        )
    task.family.check_rows(task.model.family, dataset.rows)


KEPT_BYTES = 16 << 20
"""Larger sums are computed again by each process."""


class Sums:
    """The sums of data sets for bounties. Methods raise JournalBlocked for a disk that is full.

    `ledger` has the noisy ones, and what they cost.
    """

    def __init__(self, folder: PrivateFolder, ledger: Ledger) -> None:
        self._folder, self.ledger = folder, ledger

    def make(self, task: Task, dataset: DataSet, drawing: Drawing | None = None) -> Prepared:
        """Return what answers are made of, after every check that protects the rows, and keep it.

        Noise is drawn only with `drawing`; see `mine.work.release`. Raises what `prepare` and `released` do.
        """
        if (price := task.price) is None:
            sums = prepare(task, dataset)
        else:
            name = self.ledger.release_name(dataset, task.sums_id(price), price.parts)
            sums = released(name, task.family, task.model.family, task.plan, dataset, self.ledger, drawing)
        data = sums.to_bytes()
        if len(data) <= KEPT_BYTES:
            self._folder.put(hashlib.sha256(data).hexdigest(), data)
        return sums

    def of(self, task: Task, joined: Joined) -> Prepared:
        """Return the sums that a bounty was joined with. Raises DataError if the data have changed.

        And what `make` does, if they must be computed again.
        """
        kept = self._folder.get(joined.map_digest)
        if kept is not None and hashlib.sha256(kept).hexdigest() == joined.map_digest:
            joined.dataset.verify()
            return restored(task, kept)
        sums = self.make(task, joined.dataset)
        check_map(sums, joined.map_digest)
        return sums

    def keep_only(self, joined: Iterable[Joined]) -> None:
        """Remove the sums of all but these bounties."""
        self._folder.keep_only(one.map_digest for one in joined)
