"""A settlement from the beginning: what is public, what was opened, what was told, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from capsule.audit.course import (
    check_step,
    course_before,
    design_of,
    is_out_of_range,
    optimiser_of,
    summed,
)
from capsule.audit.judging import Judging, Past, check_cohort, past_of, read_now
from capsule.audit.memory import Summed
from capsule.audit.opened import Batch, OpenedRound, opened_round, opened_weights
from capsule.audit.paying import check_shares, scores_of
from capsule.audit.public import PublicBounty
from capsule.audit.refusal import Refusal, expect, refuse
from capsule.audit.told import Functionals, Peers, Place, complained_of
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.manifests.audit import AuditedRound, SettlementRequest
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.ids import Address, Cid, Digest
from sonar.protocol.phase import Status
from sonar.protocol.seal import settlement_digest
from sonar.settling import evidence
from sonar.settling.evidence import Settled
from sonar.settling.updates import ReadUpdate
from sonar.settling.verdict import Verdict


@dataclass(frozen=True)
class Eyes:
    """What a capsule knows by itself, and draws.

    `in_time`: whether it saw an update in the store in time. `complains`: whether it cannot make a mine's
    masks. `own`: its `SignedAnswer` to a request. `me`: its account; `peers`: what others tell it themselves.
    `random_bits` must be known to nobody else.
    """

    in_time: Callable[[Address], bool]
    complains: Callable[[Address], bool]
    own: Callable[[bytes], bytes | None]
    me: Address
    peers: Peers
    random_bits: Callable[[int], int]


@dataclass(frozen=True)
class Recomputed:
    """A settlement that follows: its EIP-712 digest, figures for people, and the rounds that it took."""

    digest: bytes
    loss: int
    shares: Mapping[str, int]
    left_out: Mapping[str, str]
    openings: int
    checked: frozenset[int]


def check_place(request: SettlementRequest, public: PublicBounty) -> None:
    """Check that a request is about the open round of a bounty of this network. Raises Refusal."""
    chain = public.chain
    wanted = (chain.chain_id, chain.contract, chain.state.bounty)
    expect("network", "its place", (request.chain_id, request.contract, request.bounty), wanted)
    expect("round", "its round", request.round, chain.state.round)
    if chain.status is not Status.SETTLE:
        refuse("round", f"round {request.round} is not to be settled now: it is in {chain.status.name}")
    if chain.unproven:
        refuse("reveals", f"the digest of {min(chain.unproven)} does not open its seal on the chain")
    record = chain.rounds[request.round]
    counts = len(record.commits), len(record.reveals)
    expect("reveals", "committed and revealed", counts, (chain.state.committed, chain.state.revealed))
    expect("model", "the round's model", public.model_of(request.round).digest(), chain.state.model_digest)


class Audit:
    """One settlement, recomputed in steps. `seen`: rounds whose openings were checked before."""

    def __init__(
        self,
        request: SettlementRequest,
        public: PublicBounty,
        seen: Mapping[int, AuditedRound],
        eyes: Eyes,
    ) -> None:
        self._request, self._public, self._seen, self._eyes = request, public, seen, eyes
        self._number = request.round
        first, state = public.first, public.chain.state
        place = public.chain.chain_id, public.chain.contract, state.bounty
        self._place = Place(
            *place, public.cover, first.slot_plan, public.modulus, eyes.own, eyes.me, eyes.peers
        )

    def check(self) -> Recomputed:
        """Return what follows, if it is what was asked for. Raises Refusal, and what reading raises."""
        request, public = self._request, self._public
        check_place(request, public)
        told = public.found_evidence(request.evidence)
        past = past_of(public)
        read, unread = read_now(public, past, told, self._eyes.in_time)
        batch = Batch()
        given = self._given()
        opened = self._opened(given, {**past.read, self._number: read}, batch)
        after = self._new_weights(batch)
        batch.check(self._eyes.random_bits)
        first = min(opened)
        design = design_of(public.first, request, opened[first].weights)
        expect("loss", "the loss of the start", design.initial_loss, public.chain.posted.terms.initial_loss)
        optimiser = optimiser_of(public.first, request, design)
        judging = self._judging(design, past, opened, given[self._number])
        verdict, selection = judging.verdict(read, unread)
        if self._has_none(given, opened):
            verdict = verdict.without_sum(judging.spoilers(selection.weights))
        check_verdict(told, verdict)
        is_summed = check_cohort(selection, public, read) and not verdict.no_sum
        sums = self._sums(given, opened, is_summed)
        weights = {number: each.weights for number, each in opened.items()}
        before = {number: one for number, one in sums.items() if number < self._number}
        course = course_before(public, design, optimiser, before, weights)
        steps = Steps(judging, optimiser, course, verdict)
        shares = steps.trained(request, sums, after) if is_summed else steps.unchanged(request, public)
        self._check_evidence(told, read, verdict, shares, public.cohort(self._number) if is_summed else None)
        return Recomputed(
            self._digest(), request.new_loss, shares, verdict.left_out, batch.count, frozenset(given)
        )

    # ---- steps

    def _given(self) -> dict[int, AuditedRound]:
        """Every round that the audit needs, from the request or from before. Raises Refusal."""
        given = {each.round: each for each in self._request.rounds} | dict(self._seen)
        needed = [*self._public.settled(), self._number]
        if missing := [number for number in needed if number not in given]:
            raise Refusal("openings-missing", f"rounds {', '.join(map(str, missing))} were not seen here")
        return {number: given[number] for number in needed}

    def _opened(
        self,
        given: Mapping[int, AuditedRound],
        read: Mapping[int, Mapping[Address, ReadUpdate]],
        batch: Batch,
    ) -> dict[int, OpenedRound]:
        known = Batch()  # checked when they were seen
        return {
            number: opened_round(self._public, each, read[number], known if number in self._seen else batch)
            for number, each in given.items()
        }

    def _new_weights(self, batch: Batch) -> tuple[int, ...] | None:
        """The weights of the new model; None if it stays. Raises Refusal."""
        request, public = self._request, self._public
        if request.new_model == public.chain.state.model_digest:
            return None
        model = public.model(request.new_model)
        expect("model", "the new model's round", model.round, self._number + 1)
        if request.new_weights is None:
            refuse("openings-missing", "the new model's weights are not opened")
        return opened_weights(public, model, request.new_weights, batch)

    def _judging(
        self, design: Design, past: Past, opened: Mapping[int, OpenedRound], now: AuditedRound
    ) -> Judging:
        functionals = Functionals()
        for heard in now.asked:
            functionals.hear(self._place, self._number, heard)
        least = self._public.chain.posted.terms.least
        signed = complained_of(self._place, self._number, now.complaints or ())

        def complains(mine: Address) -> bool:
            return mine in signed or self._eyes.complains(mine)

        return Judging(self._public, self._place, design, past, opened, functionals, least, complains)

    def _has_none(self, given: Mapping[int, AuditedRound], opened: Mapping[int, OpenedRound]) -> bool:
        """Tell whether the model stays because the sum of the set that was fixed is out of range.

        If the model is said to move, this is not looked at: such a sum is then refused. Raises Refusal.
        """
        heard, cohort = given[self._number].sum, self._public.cohort(self._number)
        if self._request.new_model != self._public.chain.state.model_digest or not (heard and cohort):
            return False
        return is_out_of_range(self._place, opened[self._number], heard, cohort)

    def _sums(
        self,
        given: Mapping[int, AuditedRound],
        opened: Mapping[int, OpenedRound],
        is_summed: bool,
    ) -> dict[int, Summed]:
        """What each round's set added up to, where one was fixed and opened. Raises Refusal."""
        found = {}
        for number, each in given.items():
            cohort = self._public.cohort(number)
            moved = is_summed if number == self._number else self._moved(number)
            if cohort is not None and moved:
                if each.sum is None:
                    refuse("told-missing", f"nobody told the sum of round {number}")
                sum_up = partial(summed, opened=opened[number], heard=each.sum, cohort=cohort)
                if number == self._number:
                    found[number] = sum_up(self._place)
                    continue
                earlier = replace(self._place, me=None)
                found[number] = self._public.memory.sum_of(number, cohort.digest(), partial(sum_up, earlier))
        return found

    def _moved(self, number: int) -> bool:
        record = self._public.chain.rounds[number]
        return record.settled is not None and (
            self._public.model_of(number).digest() != record.settled.new_model_digest
        )

    def _check_evidence(
        self,
        told: EvidenceManifest,
        read: Mapping[Address, ReadUpdate],
        verdict: Verdict,
        shares: Mapping[str, int],
        cohort: CohortManifest | None,
    ) -> None:
        request, public = self._request, self._public
        chain = public.chain
        settled = Settled(
            digests={
                mine: chain.rounds[self._number].reveals[mine].update_digest
                for mine in chain.rounds[self._number].cohort
            },
            rows={mine: update.rows for mine, update in read.items()},
            verdict=verdict,
            shares=shares,
            models=(Cid("dag-cbor", chain.state.model_digest), Cid("dag-cbor", request.new_model)),
            losses=(request.new_loss, min(request.new_loss, chain.state.best_loss)),
            aggregate=cohort.digest() if cohort is not None else b"",
        )
        place = evidence.Place(chain.chain_id, chain.contract, chain.state.bounty, self._number)
        wanted = evidence.evidence_of(place, settled)
        for (name, found), (_, follows) in zip(told, wanted, strict=True):
            expect("evidence", f"its field {name}", found, follows)

    def _digest(self) -> bytes:
        request = self._request
        return settlement_digest(
            request.chain_id,
            request.contract,
            request.bounty,
            request.round,
            request.new_model,
            request.new_loss,
            [(line.mine, line.share_bps) for line in request.awards],
            request.evidence,
        )


def check_verdict(told: EvidenceManifest, verdict: Verdict) -> None:
    """Check that the evidence leaves out whom the verdict leaves out, and why. Raises Refusal."""
    for member in told.cohort:
        reason = verdict.left_out.get(member.mine, "")
        if member.accepted and reason:
            refuse("reason", f"{member.mine} is accepted; it must be left out: {reason}")
        if not member.accepted and member.reason != reason:
            follows = f"what follows is: {reason}" if reason else "nothing is wrong with its update"
            refuse("reason", f"{member.mine} is left out ({member.reason}); {follows}")


@dataclass(frozen=True)
class Steps:
    """The end of an audit: step, loss and shares, from where the weights had been."""

    judging: Judging
    optimiser: Optimiser
    course: Course
    verdict: Verdict

    def trained(
        self, request: SettlementRequest, sums: Mapping[int, Summed], after: tuple[int, ...] | None
    ) -> dict[str, int]:
        """Return the shares of a round whose sum was opened. Raises Refusal."""
        now = sums[request.round]
        if after is None:
            refuse("model", f"the sum of round {request.round} was opened, and the model stays as it was")
        seen = self.course.seen(request.round, now.sums, now.rows, now.mines, self.judging.design.plan)
        point = Point(after, self.course.current.coefficients, request.new_loss)
        point = check_step(self.judging.design, self.optimiser, seen, point)
        scores = scores_of(self.judging, self.optimiser, seen, point, sums)
        losses = (min(self.course.best.loss, point.loss), self.course.best.loss)
        return self._shares(request, scores, losses)

    def unchanged(self, request: SettlementRequest, public: PublicBounty) -> dict[str, int]:
        """Return the shares of a round in which nothing was learnt: of all accepted alike.

        Raises Refusal.
        """
        expect("model", "the new model", request.new_model, Digest(public.chain.state.model_digest))
        expect("loss", "the new loss", request.new_loss, public.chain.state.best_loss)
        best = self.course.best.loss
        return self._shares(request, dict.fromkeys(self.verdict.accepted, 0.0), (best, best))

    def _shares(
        self, request: SettlementRequest, scores: Mapping[str, float], losses: tuple[int, int]
    ) -> dict[str, int]:
        chain = self.judging.public.chain
        cohort = [str(mine) for mine in chain.rounds[request.round].cohort]
        place = cohort, request.round, chain.posted.terms
        return check_shares(request.awards, scores, self.verdict, place, losses)
