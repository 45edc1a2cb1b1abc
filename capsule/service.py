"""The capsule itself: a signed request comes in, a signed answer or a refusal goes out. No HTTP here."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from capsule import __version__
from capsule.auditing import on_chain
from capsule.home.entries import Answered, Ask
from capsule.means import Means
from capsule.opening.bounties import Bounty
from capsule.opening.chainview import View
from capsule.opening.functional import Question, Teller, questions_of, values_of
from capsule.opening.sums import masked_of, sums_of
from capsule.problems import Refused
from capsule.requests import Admitted, admitted
from sonar.manifests.capsule import (
    Complaint,
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    SumAnswer,
    SumRequest,
)
from sonar.protocol.ids import Address, BountyId
from sonar.protocol.phase import Status
from sonar.protocol.record import Manifest

Body = TypeVar("Body", FunctionalRequest, SumRequest)
RESTORED = "restored"
MOST_UNABLE = 4096
"""How many requests are remembered that could not be answered after a restore."""


class Service:
    """Answers requests. Safe to use from several threads."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._unable: OrderedDict[bytes, None] = OrderedDict()
        self._identity = (0, b"")

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of a request."""
        return self._means.policy.service.max_body_bytes

    @property
    def identity(self) -> bytes:
        """Who this capsule is, signed, with the key of its newest epoch."""
        self.look()
        means = self._means
        newest = max(list(means.epochs))
        if self._identity[0] != newest:
            body = Identity(
                chain_id=means.site[0],
                contract=means.site[1],
                key=means.epochs[newest].public,
                version=str(__version__),
                least=means.policy.policy.least,
                bits=means.policy.policy.bits,
                policy=means.policy.in_words(),
                successions=means.successions or None,
            )
            self._identity = newest, means.sign(body.to_bytes())
        return self._identity[1]

    def look(self) -> None:
        """Take up the keys that `capsule rotate` made, and drop those that are deleted, with their seeds.

        A new key is recorded: a home from a backup that lacks it is then known to be older.
        """
        came, gone = self._means.look()
        if gone:
            self._means.bounties.forget()
            self._means.updates.forget()
        for epoch in came:
            with self._recording():
                self._means.ledger.note_epoch(epoch.public)

    def answer(self, kind: str, data: bytes) -> bytes:
        """Return the signed answer to a signed request. Raises Refused, and other SonarErrors.

        The same request again, under a fresh nonce, has the same answer, at no cost.
        """
        self.look()
        request = admitted(self._means, kind, data)
        try:
            return self._answer(request)
        except Refused as refusal:
            if refusal.code == RESTORED:
                self._unable[request.digest] = None
                while len(self._unable) > MOST_UNABLE:
                    self._unable.popitem(last=False)
            raise

    def _answer(self, request: Admitted) -> bytes:
        if (known := self._means.ledger.answered(request.digest)) and self._means.signed(known):
            return known
        bounty = self._bounty(request)
        if isinstance(request.body, FunctionalRequest):
            return self._functional(request, request.body, bounty)
        if isinstance(request.body, SumRequest):
            return self._sum(request, request.body, bounty)
        return self._settlement(request, bounty)

    def answered(self, request: bytes) -> bytes | None:
        """Return the signed answer to a request, by the digest of its body; None if there is none.

        Raises Refused (restored) for one that the scientist asked, and that this capsule could not answer
        after a restore: that is not her doing, and other capsules must not take it for a question that she
        kept from it.
        """
        found = self._means.ledger.answered(request)
        if found is None and request in self._unable:
            raise Refused(RESTORED, "this capsule was asked, and could not answer after a restore")
        return found

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
            teller = Teller(means.updates, bounty, view, body)
            if bounty.cover.audit is not None:
                means.auditor.look(on_chain(means.site, view), body.round)
                if mines := teller.at_fault([each.ask for each in new]):
                    return self._complaint(request, body, mines)
            fresh = self._tell(bounty, body.round, teller, new)
            told |= {(one.mine, one.digest): one.told for one in fresh}
        answer = FunctionalAnswer(
            capsule=means.address, request=request.digest, values=values_of(questions, told)
        )
        kept = self._answered(request, body.bounty, body.round, answer)
        bits, bits_per_mine = self._limits(bounty)
        with self._recording(tells_bits=True):
            means.ledger.record_asks(kept, fresh, bits=bits, bits_per_mine=bits_per_mine)
        return kept.signed

    def _complaint(self, request: Admitted, body: FunctionalRequest, mines: tuple[Address, ...]) -> bytes:
        """Return what auditors believe: with a refusal, this capsule's silence would stop a settlement."""
        self._means.ledger.count_refusal("mine")
        complaint = Complaint(
            capsule=self._means.address,
            request=request.digest,
            bounty=body.bounty,
            round=body.round,
            mines=mines,
        )
        return self._means.sign(complaint.to_bytes())

    def _tell(self, bounty: Bounty, number: int, teller: Teller, questions: list[Question]) -> list[Ask]:
        distinct, (bits, bits_per_mine) = _distinct(questions), self._limits(bounty)
        wanted = [(each.ask.mine, each.ask.bits) for each in distinct]
        ledger = self._means.ledger
        ledger.check_room(bounty.bounty, number, wanted, bits=bits, bits_per_mine=bits_per_mine)
        teller.check([each.ask for each in questions])
        return [teller.value(each) for each in sorted(distinct, key=lambda one: one.ask.mine)]

    def _require_memory(self, view: View, number: int) -> None:
        """Refuse what might have been told before, and forgotten: see `capsule.home.witness`.

        Nothing is told of a round before it begins. So by time, and not by blocks: a node that is restored
        together with the capsule may know of fewer blocks than it did. A round that began within the second
        of the restore counts as one that had begun before.
        """
        blind_s, opened = self._means.ledger.blind_until_s, view.round(number).opened
        if opened is None or opened.opened_s <= blind_s:
            raise Refused(
                RESTORED,
                f"this capsule's ledger may have forgotten what was told before time {blind_s}, when round "
                f"{number} had begun",
                hint="ask the other capsules; of later rounds it tells again",
            )

    def _limits(self, bounty: Bounty) -> tuple[int, int]:
        """The most bits told of a mine: in a round, and over all bounties."""
        rules = self._means.policy.policy
        return min(bounty.bits, rules.bits), rules.bits_per_mine

    @contextmanager
    def _recording(self, *, tells_bits: bool = False) -> Iterator[None]:
        """One after the other, and with the witness after the ledger.

        Raises Refused for bits, if the ledger is not the one that the witness knows: another copy of it is in
        use. Sums are the same from every copy.
        """
        means = self._means
        with means.telling:
            remembered = means.witness.read()
            is_whole = remembered is None or remembered in means.ledger.marks
            if tells_bits and not is_whole:
                problem = "another copy of this capsule's ledger is in use"
                raise Refused(RESTORED, problem, hint="ask the other capsules")
            yield
            if is_whole:
                means.witness.write(means.ledger.marks[0])

    # ---- sums

    def _sum(self, request: Admitted, body: SumRequest, bounty: Bounty) -> bytes:
        means, view = self._means, request.view
        cohort = means.cohorts.get(view, body.round, body.cohort, means.policy.policy.least)
        masked = masked_of(means.updates, bounty, view, cohort)
        answer = SumAnswer(capsule=means.address, request=request.digest, sums=sums_of(bounty, masked))
        kept = self._answered(request, body.bounty, body.round, answer)
        with self._recording():
            means.ledger.record_sum(kept, body.cohort)
        return kept.signed

    # ---- audits

    def _settlement(self, request: Admitted, bounty: Bounty) -> bytes:
        if bounty.cover.audit is None:
            raise Refused("not-audited", "this bounty's first manifest asks for no audit")
        answer = self._means.auditor.settle(request.raw)
        kept = self._answered(request, bounty.bounty, request.view.state.round, answer)
        with self._recording():
            self._means.ledger.record_other(kept)
        return kept.signed

    def _answered(self, request: Admitted, bounty: BountyId, number: int, answer: Manifest) -> Answered:
        signed = self._means.sign(answer.to_bytes())
        return Answered(request.digest, bounty, number, request.kind, request.view.now_s, signed)


def _distinct(questions: list[Question]) -> list[Question]:
    return list({(each.ask.mine, each.digest): each for each in questions}.values())
