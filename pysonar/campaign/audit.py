"""What a scientist hands to auditors of a settlement: openings, what capsules told, holdout and settings.

She gives away what capsules need to come to the settlement by themselves, and no more: under a veil, what an
answer's ciphertext holds is a uniform number. It says nothing to whoever misses a class of seeds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gmpy2 import mpz

from pysonar.bounty.request import Bounty
from pysonar.campaign.records import Cohort, Posting, Publication, Records
from pysonar.keys.job import Job
from sonar.errors import ConfigError
from sonar.manifests.audit import (
    MAX_HOLDOUT_BYTES,
    AuditedRound,
    AwardLine,
    Heard,
    HoldoutRows,
    OpenedAnswer,
    Openings,
    SettlementRequest,
)
from sonar.manifests.capsule import SignedAnswer
from sonar.manifests.model import AuditSpec, ModelManifest
from sonar.paillier.public import PublicKey
from sonar.protocol.ids import Address, Digest, digest_of, joined
from sonar.settling.updates import Expected, Get, read_update


class Question(Protocol):
    """What capsules were asked: for "tests", "scores", "spoilers", a "sum"; or answered by a "complaint"."""

    @property
    def purpose(self) -> str:
        """What for."""
        ...

    @property
    def body(self) -> bytes:
        """The request."""
        ...

    @property
    def answers(self) -> Mapping[Address, SignedAnswer]:
        """What each told."""
        ...


class Opener(Protocol):
    """A key's holder, as far as audits go."""

    def public_of(self, job: Job, round: int) -> PublicKey:
        """The public key of a round's answers."""
        ...

    def unsafe_open(self, job: Job, round: int, ciphertexts: Sequence[mpz]) -> list[tuple[int, int]]:
        """Reveal plaintext and randomness of each, under the key of a round."""
        ...

    def questions(self, job: Job, round: int) -> Sequence[Question]:
        """Return what capsules were asked about a round, with their answers."""
        ...

    def ask_again(self, job: Job, round: int) -> None:
        """Ask the capsules that did not answer then. Raises CapsulesDiffer."""
        ...


def audit_spec(bounty: Bounty) -> AuditSpec:
    """Return what a bounty's first manifest says of its audits: how it steps, and what its loss is.

    Raises ConfigError for a holdout that no request has room for.
    """
    held, most = bounty.held_out, MAX_HOLDOUT_BYTES // 8
    if held.values.size > most:
        problem = f"has {held.rows} rows of {len(held.columns)} numbers; auditors take {most:,} numbers"
        hint = f"hold out at most {most // len(held.columns):,} rows, or say audit = false in [capsules]"
        raise ConfigError("holdout", problem, hint=hint)
    return AuditSpec(optimiser=digest_of(bounty.stepping))


@dataclass(frozen=True)
class Packets:
    """Makes requests for audits of a campaign's rounds, from its records. `get` reads the store."""

    get: Get
    holder: Opener
    records: Records
    bounty: Bounty
    job: Job

    def packet_of(
        self,
        number: int,
        publication: Publication,
        shares: Mapping[str, int],
        earlier: Collection[int] = (),
    ) -> SettlementRequest:
        """Return the request for the settlement of a round.

        `earlier`: the settled rounds before it whose openings go with it, where capsules have not seen them
        (they say "openings-missing"). The same settlement makes the same bytes. Raises what reading the store
        raises, EnvironmentFault, and ManifestError for a holdout that is too large.
        """
        posting: Posting = self.records.get(Posting)
        new_model = publication.model_manifest
        rows = self.bounty.held_out
        return SettlementRequest(
            chain_id=self.job.chain_id,
            contract=self.job.contract,
            bounty=self.job.bounty,
            round=number,
            new_model=Digest(publication.model_digest),
            new_loss=publication.loss,
            awards=tuple(
                AwardLine(mine=Address(mine), share_bps=shares[mine]) for mine in sorted(shares, key=_order)
            ),
            evidence=digest_of(publication.evidence),
            rounds=(
                *(self._round(each, self._sum(each)) for each in sorted(set(earlier) - {number})),
                self._round(
                    number,
                    self._sum(number),
                    self._told(number, "tests", "scores", "spoilers"),
                    [data for each in self._told(number, "complaint") for data in each.answers],
                ),
            ),
            new_weights=self._weights(ModelManifest.from_bytes(new_model)) if new_model else None,
            holdout=HoldoutRows.of(rows.columns, rows.values, posting.holdout_salt),
            optimiser=self.bounty.stepping,
        )

    def ask_again(self, number: int) -> None:
        """Ask capsules what they have not told about a round (auditors say "told-missing").

        Raises CapsulesDiffer.
        """
        self.holder.ask_again(self.job, number)

    def settled_before(self, number: int) -> list[int]:
        """Return the earlier rounds that were settled: what a capsule may need."""
        return [each for each in range(1, number) if self.records.get(Publication, each) is not None]

    def _told(self, number: int, *purposes: str) -> tuple[Heard, ...]:
        found = [each for each in self.holder.questions(self.job, number) if each.purpose in purposes]
        return tuple(
            Heard(
                request=each.body,
                answers=tuple(answer.to_bytes() for _, answer in sorted(each.answers.items())),
            )
            for each in sorted(found, key=lambda each: purposes.index(each.purpose))
        )

    def _sum(self, number: int) -> Heard | None:
        return next(iter(self._told(number, "sum")[::-1]), None)

    def _round(
        self,
        number: int,
        sum_: Heard | None,
        asked: tuple[Heard, ...] = (),
        complaints: Sequence[bytes] = (),
    ) -> AuditedRound:
        model, job = self._model(number), self.job
        key = self.holder.public_of(job, number)
        place = job.chain_id, job.contract, job.bounty, number
        expected = Expected.of(place, model.digest(), key, model)
        cohort: Cohort = self.records.get(Cohort, number)
        read = [
            read_update(self.get, expected, Address(mine), Digest(digest))
            for mine, digest in sorted(cohort.digests.items(), key=lambda pair: _order(pair[0]))
            if (update := self.records.update(number, mine)) is not None and update.links
        ]
        return AuditedRound(
            round=number,
            weights=self._weights(model),
            answers=tuple(
                OpenedAnswer(
                    mine=one.mine, update=one.digest, openings=self._openings(number, one.ciphertexts)
                )
                for one in read
            ),
            asked=asked,
            sum=sum_,
            complaints=tuple(complaints) or None,
        )

    def _model(self, number: int) -> ModelManifest:
        """The manifest that a round trained on."""
        return ModelManifest.from_bytes(self.records.trained_on(number).model_manifest)

    def _weights(self, model: ModelManifest) -> Openings:
        key, count = self.holder.public_of(self.job, model.round), model.plan.weights
        blob = joined(model.blobs, count * key.ciphertext_bytes, self.get)
        return self._openings(model.round, key.decode_blob(blob, count))

    def _openings(self, number: int, ciphertexts: Sequence[mpz]) -> Openings:
        opened = self.holder.unsafe_open(self.job, number, ciphertexts)
        return Openings.of(opened, (self.job.plan.key_bits + 7) // 8)


def _order(mine: str) -> int:
    return int(mine, 16)
