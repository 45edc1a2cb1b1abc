"""One round after the other: what each must agree with, and what it leaves for the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gmpy2 import gcd

from sonar.errors import BlobNotFound, CiphertextError, RemoteError, StoreUnavailable
from sonar.families import question
from sonar.families.registry import family_of
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import KeyManifest, ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.protocol.events import BountyPosted
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import Address, Cid, Digest, joined
from sonar.protocol.seal import seal
from sonar.settling.updates import Expected
from sonar.telling.verdicts import RoundVerified
from sonar.verifying import cohorts, payments, posting, settled, updates
from sonar.verifying.findings import Findings, Get, read
from sonar.verifying.payments import Purse
from sonar.verifying.posting import Place
from sonar.verifying.updates import Earlier, Judged

RECORD, SEALS, MODEL, UPDATES = "record", "seals", "model", "updates"


@dataclass(frozen=True)
class Sent:
    """What transactions tell beside their events, as far as the node has them.

    `salts`: by mine what opens its seal. `signature`: what came with the settlement. `contract`: whether the
    bounty's settler is a contract.
    """

    salts: Mapping[Address, bytes] = field(default_factory=dict)
    signature: bytes | None = None
    contract: bool = False


@dataclass
class Course:
    """A bounty's rounds in order. `model`, `key` and `allowed` are from its posting, None if unreadable.

    `key` is then that of the round that is checked: a new model may come with another.
    """

    place: Place
    posted: BountyPosted
    model: ModelManifest | None
    key: PublicKey | None
    allowed: tuple[Address, ...] | None
    get: Get
    tell: Callable[[str], None] = lambda what: None

    def __post_init__(self) -> None:
        terms = self.posted.terms
        self._purse = Purse(terms.escrow_units, terms.initial_loss)
        self._digest, self._current = self.posted.model_digest, self.model
        self._weights_of: Digest | None = None
        self._moduli = {self.key.n} if self.key else set()
        self._earlier, self._opened, self._last = Earlier(), cohorts.Opened(), 0

    @property
    def _cover(self) -> VeilCover | None:
        cover = self.model.cover if self.model else None
        return cover if isinstance(cover, VeilCover) else None

    def check(self, record: RoundRecord, sent: Sent) -> RoundVerified:
        """Check the next round, and return what was found."""
        findings = Findings(record.round)
        whole = self._check_record(findings, record)
        self._check_seals(findings, record, sent)
        self._check_weights(findings)
        judged = dict(self._judged(findings, record))
        cohort = self._check_cohort(findings, record, judged)
        if record.settled:
            evidence = self._check_settled(findings, record, sent, cohort)
            settled.check_accepted(findings, evidence, judged)
            self._digest = record.settled.new_model_digest
        else:
            settled.check_accepted(findings, None, judged)
        if record.ended and whole:
            self._purse = payments.check(findings, self.posted.terms, self._purse, record)
        self._last = record.round
        return findings.told(record.ended.value if record.ended else "open")

    def _check_record(self, findings: Findings, record: RoundRecord) -> bool:
        """Check the round's events against its terms, and tell whether they are all there."""
        terms = self.posted.terms
        findings.same(RECORD, "number of the round", self._last + 1, record.round)
        if record.opened is None:
            findings.unknown(RECORD, "opening", "the node does not tell it")
        else:
            findings.same(RECORD, "model of the round", self._digest, record.opened.model_digest)
        enough = len(record.commits) <= terms.cohort_cap
        fault = "" if enough else str(len(record.commits))
        findings.sound(RECORD, "commits", fault, f"at most {terms.cohort_cap}")
        if record.settled:
            fault = "" if len(record.reveals) >= terms.min_mines else str(len(record.reveals))
            findings.sound(RECORD, "reveals of a settled round", fault, f"at least {terms.min_mines}")
        for mine in record.commits if self.allowed is not None else ():
            fault = "" if mine in (self.allowed or ()) else "it is not"
            findings.sound(RECORD, f"place of {mine}", fault, "on the allow-list")
        if record.ended and not record.is_whole:
            findings.unknown(RECORD, "events", "the node's record of the round does not add up to its end")
            return False
        return True

    def _check_seals(self, findings: Findings, record: RoundRecord, sent: Sent) -> None:
        place = self.place
        for mine, reveal in record.reveals.items():
            name, salt = f"seal of {mine}", sent.salts.get(mine)
            commit = record.commits.get(mine)
            if commit is None:
                findings.unknown(SEALS, name, "the node does not tell its commit")
            elif salt is None:
                why = "the reveal's transaction is not at the node, or another contract sent it"
                findings.unknown(SEALS, name, why)
            else:
                parts = (record.bounty, record.round, mine, reveal.update_digest, salt)
                findings.same(SEALS, name, commit.seal, seal(place.chain_id, place.contract, *parts))

    def _check_weights(self, findings: Findings) -> None:
        """Check that the store has what the round asks about, once for each model."""
        if self._weights_of == self._digest or self._current is None or self.key is None:
            return
        self._weights_of, model, key = self._digest, self._current, self.key
        family, spec = family_of(model.family), model.family
        name = "question" if family.visible else "weights"
        try:
            blob = joined(model.blobs, question.bytes_of(family, spec, key), self.get)
            question.read_question(family, spec, key, blob)
            findings.holds(MODEL)
        except (BlobNotFound, StoreUnavailable) as fault:
            findings.unknown(MODEL, name, str(fault))
        except (RemoteError, CiphertextError) as fault:
            what = "numbers" if family.visible else "ciphertexts"
            findings.false(MODEL, name, f"{family.numbers(spec)} {what}", fault)

    def _judged(self, findings: Findings, record: RoundRecord) -> Iterator[tuple[Address, Judged]]:
        """Every revealed update, in the order of the commits."""
        for done, mine in enumerate(mine for mine in record.commits if mine in record.reveals):
            self.tell(f"round {record.round}: update {done + 1} of {len(record.reveals)}")
            yield mine, self._judge(findings, record, mine)

    def _judge(self, findings: Findings, record: RoundRecord, mine: Address) -> Judged:
        if self.model is None or self.key is None:
            return Judged(missing="without the bounty's first model and the round's key it cannot be checked")
        asked = self._asked(record)
        place = self.place.chain_id, self.place.contract, record.bounty, record.round
        expected = Expected.of(place, asked, self.key, self.model)
        digest = record.reveals[mine].update_digest
        found = read(self.get, Cid("dag-cbor", digest), UpdateManifest.max_bytes)
        if found.data is None:
            return Judged(fault=found.other, missing=found.missing)
        try:
            manifest = updates.read_manifest(expected, mine, found.data)
        except RemoteError as fault:
            return Judged(fault=str(fault))
        if harm := updates.careless(self._earlier, manifest):
            findings.note(UPDATES, f"update of {mine}", harm)
        return self._judge_blob(expected, manifest)

    def _judge_blob(self, expected: Expected, manifest: UpdateManifest) -> Judged:
        try:
            blob = joined(manifest.blobs, expected.form.blob_bytes, self.get)
        except (BlobNotFound, StoreUnavailable) as gone:
            return Judged(manifest.rows, missing=str(gone))
        except RemoteError as fault:
            return Judged(manifest.rows, fault=str(fault))
        malformed = updates.check_ciphertexts(expected, blob)
        return Judged(manifest.rows, malformed or updates.copied(self._earlier, manifest))

    def _asked(self, record: RoundRecord) -> Digest:
        return record.opened.model_digest if record.opened else self._digest

    def _check_cohort(
        self, findings: Findings, record: RoundRecord, judged: Mapping[Address, Judged]
    ) -> CohortManifest | None:
        if record.fixed is None:
            return None
        found = read(self.get, Cid("dag-cbor", Digest(record.fixed.digest)), CohortManifest.max_bytes)
        plan = self.model.slot_plan if self.model else None
        cohort = cohorts.check(findings, self.place, record, found, plan)
        if cohort is not None:
            cohorts.check_weights(findings, cohort, self._opened, judged)
            cohorts.check_set(findings, cohort, self._opened, self.posted.terms.least)
        return cohort

    def _check_settled(
        self, findings: Findings, record: RoundRecord, sent: Sent, cohort: CohortManifest | None
    ) -> EvidenceManifest | None:
        assert record.settled is not None
        found = read(self.get, Cid("dag-cbor", record.settled.evidence_digest), EvidenceManifest.max_bytes)
        asked = self._asked(record)
        evidence = settled.check_evidence(findings, self.place, record, asked, found)
        if evidence is not None:
            fixed, veiled = record.fixed is not None, self._cover is not None
            settled.check_summed(findings, evidence, cohort, fixed=fixed, veiled=veiled)
        self._check_new_model(findings, record)
        terms, cover = self.posted.terms, self._cover
        settled.check_signature(
            findings, self.place, terms, record, cover, sent.signature, contract=sent.contract
        )
        return evidence

    def _check_new_model(self, findings: Findings, record: RoundRecord) -> None:
        assert record.settled is not None
        new = record.settled.new_model_digest
        if self.model is None:
            findings.unknown(MODEL, "new model", "without the bounty's first model it cannot be compared")
            return
        changed = new != self._digest
        found = read(self.get, Cid("dag-cbor", new), ModelManifest.max_bytes) if changed else None
        model = settled.check_new_model(findings, record, self.model, self._digest, found)
        if changed:
            self._check_key(findings, model)
            self._current = model

    def _check_key(self, findings: Findings, model: ModelManifest | None) -> None:
        """Check the key that a new model comes with, if it is another than the round's."""
        if model is None:
            self.key = None
            return
        if self._current is not None and self.key is not None and model.key == self._current.key:
            return
        found, name = read(self.get, model.key, KeyManifest.max_bytes), f"key of round {model.round}"
        self.key = posting.check_key(findings, model, found, MODEL, name)
        if self.key is None:
            return
        shared = any(gcd(self.key.n, n) not in (1, n) for n in self._moduli)
        fault = "has a factor in common with another key of the bounty: anybody can read answers"
        findings.sound(MODEL, name, fault if shared else "", "prime to the other keys")
        findings.note(MODEL, name, f"is another than before: fingerprint {self.key.fingerprint.hex()[:16]}")
        self._moduli.add(self.key.n)
