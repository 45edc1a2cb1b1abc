"""Training on encrypted weights: read what a bounty asks for, turn the data into (A, b) once, make updates.

An update is Enc(b - A w), re-randomised with a blinding from the pool so that the key holder, who knows the
factors, cannot read A from it. (A, b) is computed anew in each process and held against the digest that was
recorded at joining: a changed file, library or machine is noticed before it could change an update.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from mine import consent
from mine.consent import Policy
from mine.data import DataSet
from mine.work.pool import Pool
from sonar.cores import cores_allowed, in_processes
from sonar.errors import BoundsError, ConsentError, DataError, ManifestError
from sonar.families.quadratic import answer as quadratic
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.maps import names_of, transform
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.stages import Q32_ONE, Fourier, Standard, degree_of
from sonar.manifests.allowlist import AllowList
from sonar.manifests.key import KeyManifest
from sonar.manifests.model import ModelManifest
from sonar.paillier import keyproof
from sonar.paillier.affine import affine_update, check_bounds, estimated_s
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol import allowlist
from sonar.protocol.blobs import joined
from sonar.protocol.cid import Cid
from sonar.protocol.ids import ZERO32, Address, Digest
from sonar.protocol.phase import BountyState

FROZEN = ("name", "family", "cover", "plan", "key", "zero_start", "holdout", "allow_list")
"""What may not change between the rounds of a bounty."""
_FAR = 2.0
"""So many deviations a column's mean may be from the bounty's, and be no reason to look at its unit."""
LONG_S = 3.0
"""From here on other processes are worth their start, which takes most of a second."""


@dataclass(frozen=True)
class Task:
    """What a bounty asks for, from its first round's manifests, checked.

    `allowed`: the mines that may take part; None for all.
    """

    model: ModelManifest
    key: PublicKey
    plan: SlotPlan
    allowed: tuple[Address, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a data set must have: the features, then the target."""
        return (*self.model.family.features, self.model.family.target)


def read_task(
    store: Store, bounty: BountyState, model_digest: Digest, key_digest: Digest, policy: Policy
) -> Task:
    """Fetch and check the first round's model manifest and the key it names.

    Raises ManifestError, CiphertextError, PlanError, ConsentError, BlobNotFound, StoreUnavailable.
    """
    model = read_model(store, model_digest, 1)
    if model.key.digest != key_digest:
        raise ManifestError("model.key", "is not the key that the bounty was posted with", hint=_REPORT)
    consent.check_model(
        weights=model.plan.weights,
        key_bits=model.plan.key_bits,
        blob_bytes=model.plan.weights * (model.plan.key_bits // 4),
        policy=policy,
    )
    plan = SlotPlan.from_dict(model.plan.model_dump())
    consent.check_work(estimated_s(plan), bounty.terms.commit_window_s, policy)
    key = read_key(store, model, policy)
    if plan.mines_max < bounty.terms.cohort_cap:
        raise ManifestError(
            "model.plan.mines_max",
            f"is {plan.mines_max}, and the bounty takes {bounty.terms.cohort_cap} mines",
            hint=_REPORT,
        )
    return Task(model, key, plan, read_allowed(store, bounty, model))


def read_allowed(store: Store, bounty: BountyState, model: ModelManifest) -> tuple[Address, ...] | None:
    """Fetch a bounty's allow-list and hold it against the root in the terms; None if it has none.

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
            hint="a list cannot be changed: ask the scientist for a place in her next bounty",
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
    keyproof.check(key, manifest.proof)
    return key


def check_frozen(task: Task, model: ModelManifest) -> None:
    """Check that a later round's model differs from the first in its weights alone. Raises ManifestError."""
    for field in FROZEN:
        if getattr(model, field) != getattr(task.model, field):
            raise ManifestError(
                f"model.{field}",
                f"has changed since round 1 of the bounty (round {model.round})",
                hint="other rules could read your data from the difference; leave the bounty",
            )


def read_weights(store: Store, task: Task, model: ModelManifest) -> list[mpz]:
    """Fetch a round's encrypted weights, and check each."""
    size = task.plan.weights * task.key.ciphertext_bytes
    return task.key.decode_blob(joined(model.blobs, size, store.get), task.plan.weights)


def local_map(task: Task, dataset: DataSet) -> LocalMap:
    """Turn the data set into (A, b), after every check that protects its rows.

    Raises DataError, ConsentError, BoundsError.
    """
    spec, plan = task.model.family, task.plan
    consent.check_rows(dataset.rows, spec)
    values = dataset.read(task.columns)
    consent.check_columns([values], task.columns)
    x, y = values[:, :-1], values[:, -1]
    phi = (transform(spec, x[part]) for part in quadratic.chunks(spec, len(x)))
    consent.check_columns(phi, names_of(spec))
    consent.check_combinations(x, spec.features, degree_of(spec.stages))
    if any(isinstance(stage, Fourier) for stage in spec.stages):
        consent.check_distinct(x, spec.weights)
    mapped = quadratic.local_map(spec, x, y, data_frac=plan.data_frac)
    try:
        check_bounds(plan, mapped.a_int.tolist(), mapped.b_int.tolist())
    except BoundsError as error:
        error.hint = f"{error.hint} {_unlike(spec, x)}".rstrip()
        raise
    return mapped


def _unlike(spec: QuadraticSpec, x: NDArray[np.float64]) -> str:
    """Name the columns that are least like those which the bounty's scientist took its constants from.

    Says what is public, and nothing of the data's own values.
    """
    if not spec.stages or not isinstance(first := spec.stages[0], Standard):
        return ""
    means, deviations = (np.array(values) / Q32_ONE for values in (first.mean_q32, first.std_q32))
    away = np.abs(x.mean(axis=0) - means) / deviations
    farthest = sorted(range(len(away)), key=lambda i: -away[i])[:3]
    named = [f"{spec.features[i]!r} ({means[i]:.4g})" for i in farthest if away[i] > _FAR]
    return f"Farthest from their means in the bounty are {', '.join(named)}." if named else ""


def map_digest(mapped: LocalMap) -> str:
    """The sha2-256 digest of (A, b), in hex."""
    numbers = [mapped.rows, *mapped.a_int.ravel().tolist(), *mapped.b_int.tolist()]
    return hashlib.sha256(",".join(str(int(number)) for number in numbers).encode()).hexdigest()


def check_map(mapped: LocalMap, recorded: str) -> None:
    """Check that (A, b) is what it was at joining. Raises ConsentError."""
    if map_digest(mapped) != recorded:
        raise ConsentError(
            "the data give another (A, b) than when the bounty was joined",
            hint="go back to the version of Sonar and numpy that joined it; "
            "two different maps could be subtracted to read the difference",
        )


def make_update(task: Task, mapped: LocalMap, weights: list[mpz], pool: Pool) -> list[mpz]:
    """Enc(b - A w), packed and re-randomised; a long product over the cores allowed.

    Raises CiphertextError, BoundsError, ConfigError.
    """
    parts = cores_allowed() if estimated_s(task.plan) >= LONG_S else 1
    update = affine_update(
        task.key, task.plan, mapped.a_int, mapped.b_int, weights, parts=parts, run=in_processes
    )
    blindings = pool.take(task.key, len(update))
    return [task.key.rerandomise(c, blinding) for c, blinding in zip(update, blindings, strict=True)]


def fits(task: Task, dataset: DataSet) -> None:
    """Check by names and counts alone whether a data set could serve. Raises DataError, ConsentError."""
    missing = dataset.missing(task.columns)
    if missing:
        raise DataError(
            f"data set {dataset.name!r}",
            f"has no column {', '.join(map(repr, missing[:5]))}{' and more' * (len(missing) > 5)}",
            hint=f"the bounty needs {', '.join(task.columns[:20])}",
        )
    consent.check_rows(dataset.rows, task.model.family)


_REPORT = "the bounty is malformed; leave it alone, or tell its scientist"
