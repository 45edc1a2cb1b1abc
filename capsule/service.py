"""The capsule itself: a signed request comes in, a signed answer or a refusal goes out. No HTTP here."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TypeVar

from capsule import __version__
from capsule.home.entries import Answered, Ask
from capsule.means import Means
from capsule.opening.bounties import Bounty
from capsule.opening.chainview import View
from capsule.opening.cohorts import own_fault
from capsule.opening.functional import Question, Teller, questions_of, values_of
from capsule.opening.sums import masked_of, sums_of
from capsule.problems import Refused
from capsule.requests import Admitted, admitted
from sonar.manifests.capsule import (
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    SumAnswer,
    SumRequest,
)
from sonar.protocol.ids import BountyId
from sonar.protocol.phase import Status
from sonar.protocol.record import Manifest

Body = TypeVar("Body", FunctionalRequest, SumRequest)


class Service:
    """Answers requests. Safe to use from several threads."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of a request."""
        return self._means.policy.service.max_body_bytes

    @cached_property
    def identity(self) -> bytes:
        """Who this capsule is, signed."""
        means = self._means
        newest = means.epochs[max(means.epochs)]
        body = Identity(
            chain_id=means.site[0],
            contract=means.site[1],
            key=newest.public,
            version=str(__version__),
            least=means.policy.policy.least,
            bits=means.policy.policy.bits,
            policy=means.policy.in_words(),
        )
        return means.sign(body.to_bytes())

    def answer(self, kind: str, data: bytes) -> bytes:
        """Return the signed answer to a signed request. Raises Refused, and other SonarErrors.

        The same request again, under a fresh nonce, has the same answer, at no cost.
        """
        request = admitted(self._means, kind, data)
        if known := self._means.ledger.answered(request.digest):
            return known
        bounty = self._bounty(request)
        if isinstance(request.body, FunctionalRequest):
            return self._functional(request, request.body, bounty)
        if isinstance(request.body, SumRequest):
            return self._sum(request, request.body, bounty)
        return self._settlement(request, bounty)

    def count(self, refusal: Refused) -> None:
        """Count a refusal."""
        self._means.ledger.count_refusal(refusal.code)

    def totals(self) -> tuple[int, int]:
        """How many bits were told, and how many sums opened, ever."""
        return self._means.ledger.totals()

    def report_bug(self) -> None:
        """Write an unexpected exception where the operator reads it."""
        logging.getLogger("capsule").exception("a request failed")

    def _bounty(self, request: Admitted) -> Bounty:
        bounty = self._means.bounties.get(request.view)
        self._means.ledger.serve(bounty.bounty, bounty.scientist, bounty.epoch.public.epoch)
        if request.view.status is Status.CLOSED:
            self._means.ledger.close_bounty(bounty.bounty, request.view.now_s)
        return bounty

    # ---- functionals

    def _functional(self, request: Admitted, body: FunctionalRequest, bounty: Bounty) -> bytes:
        means, view = self._means, request.view
        questions = questions_of(bounty, body)
        told = means.ledger.told(bounty.bounty, body.round)
        new = [each for each in questions if (each.ask.mine, each.digest) not in told]
        fresh: list[Ask] = []
        if new:
            view.require_settling(body.round)
            self._require_memory(view, body.round)
            if means.auditor is not None:
                means.auditor.look(bounty.bounty, body.round)
            fresh = self._tell(bounty, view, body, new)
            told |= {(one.mine, one.digest): one.told for one in fresh}
        answer = FunctionalAnswer(
            capsule=means.address, request=request.digest, values=values_of(questions, told)
        )
        kept = self._answered(request, body.bounty, body.round, answer)
        rules = means.policy.policy
        with means.telling:
            self._require_one_ledger()
            means.ledger.record_asks(
                kept,
                fresh,
                bits=min(bounty.cover.bits, rules.bits),
                bits_per_mine=rules.bits_per_mine,
            )
            means.witness.write(means.ledger.entries)
        return kept.signed

    def _tell(
        self, bounty: Bounty, view: View, body: FunctionalRequest, questions: list[Question]
    ) -> list[Ask]:
        rules, ledger = self._means.policy.policy, self._means.ledger
        ledger.check_room(
            bounty.bounty,
            body.round,
            [(each.ask.mine, each.ask.bits) for each in _distinct(questions)],
            bits=min(bounty.cover.bits, rules.bits),
            bits_per_mine=rules.bits_per_mine,
        )
        teller = Teller(self._means.updates, bounty, view, body)
        teller.check([each.ask for each in questions])
        return [teller.value(each) for each in sorted(_distinct(questions), key=lambda one: one.ask.mine)]

    def _require_memory(self, view: View, number: int) -> None:
        """Refuse what might have been told before, and forgotten: see `capsule.home.witness`.

        Nothing is told of a round before all of its answers are there. So if one came, or was committed to,
        after the block by which the ledger may have forgotten something, it has forgotten nothing of this
        round.
        """
        blind, record = self._means.ledger.blind_until, view.round(number)
        events = [*record.commits.values(), *record.reveals.values()]
        if blind and all(event.block <= blind for event in events):
            raise Refused(
                "restored",
                f"this capsule's ledger may be older than block {blind}, when round {number} was open: it "
                "does not know what it has told of it",
                hint="ask the other capsules; of later rounds it tells again",
            )

    def _require_one_ledger(self) -> None:
        """Refuse to tell anything if another copy of the ledger told more meanwhile."""
        means = self._means
        remembered = means.witness.read()
        if remembered is not None and remembered > means.ledger.entries:
            means.ledger.set_blind(means.chain.newest.number)
            raise Refused(
                "restored", "another copy of this capsule's ledger is in use", hint="ask the other capsules"
            )

    # ---- sums

    def _sum(self, request: Admitted, body: SumRequest, bounty: Bounty) -> bytes:
        means, view = self._means, request.view
        cohort = means.cohorts.get(view, body.round, body.cohort)
        before = means.cohorts.before(view, body.round)
        least = means.policy.policy.least
        if problem := own_fault(cohort, before.sets, least):
            raise Refused("policy", f"this capsule's operator asks for {least} mines: {problem}")
        masked = masked_of(means.updates, bounty, view, cohort)
        answer = SumAnswer(capsule=means.address, request=request.digest, sums=sums_of(bounty, masked))
        kept = self._answered(request, body.bounty, body.round, answer)
        with means.telling:
            means.ledger.record_sum(kept, body.cohort)
            means.witness.write(max(means.ledger.entries, means.witness.read() or 0))
        return kept.signed

    # ---- audits

    def _settlement(self, request: Admitted, bounty: Bounty) -> bytes:
        auditor = self._means.auditor
        if auditor is None:
            raise Refused("not-audited", "this capsule does not audit settlements")
        answer = auditor.settle(request.raw)
        kept = self._answered(request, bounty.bounty, request.view.state.round, answer)
        with self._means.telling:
            self._means.ledger.record_other(kept)
            self._means.witness.write(max(self._means.ledger.entries, self._means.witness.read() or 0))
        return kept.signed

    def _answered(self, request: Admitted, bounty: BountyId, number: int, answer: Manifest) -> Answered:
        signed = self._means.sign(answer.to_bytes())
        return Answered(request.digest, bounty, number, request.kind, request.view.now_s, signed)


def _distinct(questions: list[Question]) -> list[Question]:
    return list({(each.ask.mine, each.digest): each for each in questions}.values())
