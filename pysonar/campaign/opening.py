"""The first steps of a campaign: the bounty is posted, and found again on the chain."""

from __future__ import annotations

from pysonar.campaign.means import Means
from pysonar.campaign.posting import check, fits, job_of, prepare, publish
from pysonar.campaign.records import Posting
from pysonar.keys.job import Job
from sonar.chain.contract.errors import BountyExists, UnknownBounty
from sonar.chain.contract.market import REORG_BLOCKS
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.payment import pay
from sonar.errors import ChainUnavailable, ConfigError, InsufficientFunds
from sonar.protocol.ids import BountyId, hex32
from sonar.protocol.phase import BountyState
from sonar.telling.progress import Waiting


class Opening:
    """Posts the bounty, once."""

    def __init__(self, means: Means) -> None:
        self._means, self._records = means, means.records
        posting: Posting | None = self._records.get(Posting)
        sent = posting is not None and means.outbox.submitted(Intent.of_posting(means.name))
        if posting and sent and not fits(posting, means.bounty, means.holder):
            problem = f"another bounty named {means.name!r} was posted from this home, or with another key"
            raise ConfigError("name", problem, hint="give the changed bounty another name")

    def post(self) -> Waiting | None:
        """Bring the posting a step forward; None when the bounty is posted."""
        if self._records.bounty() is not None:
            return None
        means, posting = self._means, self._prepared()
        job = self.job(posting)
        intent, bounty = Intent.of_posting(means.name), job.bounty
        call = means.market.post(job.terms, job.model_digest, job.key_digest, job.salt)
        if means.outbox.wanted(intent):
            with means.watch.timed(0, "publish"):
                publish(posting, means.copies, means.store)
            check(means.market, means.bounty, means.outbox.address)
        try:
            receipt = pay(means.market, means.outbox, intent, call)
            block = receipt.block if receipt else None
        except BountyExists:  # nobody else can have this id: a transaction of ours, of which we lost sight
            block = self._posted_in(bounty)
        except InsufficientFunds as poor:
            if not means.outbox.submitted(intent):
                raise
            return means.without_ether(poor, "the posting", None)
        if block is None:
            return Waiting("the bounty to be posted")
        self._records.set_bounty(bounty, block)
        means.watch.tell(0)
        means.progress.note(f"posted bounty {hex32(bounty)}")
        return None

    def job(self, posting: Posting | None = None) -> Job:
        """What the bounty is posted with on this network: its id is made of the chain and
        the contract too.
        """
        means = self._means
        found = posting or self._records.get(Posting)
        return job_of(found, means.bounty, means.market, means.outbox.address)

    def state(self, head: Head) -> BountyState:
        """Return the bounty at `head`. Raises UnknownBounty, ChainUnavailable where that may pass."""
        means = self._means
        bounty, block = means.posted
        try:
            return means.market.bounty(bounty, head)
        except UnknownBounty as error:
            if bounty != self.job().bounty:
                raise
            if means.outbox.under_way(Intent.of_posting(means.name)):
                problem = "the chain's node has lost the bounty's posting, which is sent again"
                hint = "it was killed, perhaps: has it got all of its blocks?"
                raise ChainUnavailable(problem, hint=hint) from error
            hint = "it has fallen behind, or one of several behind the same address has"
            if head.number < block:
                problem = f"is at block {head.number}, and the bounty was posted in block {block}"
            elif means.market.events(block - REORG_BLOCKS, head.number, bounty):
                problem = f"has records of the bounty, and does not know it at block {head.number}"
            else:
                raise
            raise ChainUnavailable(f"the chain's node {problem}", hint=hint) from error

    def _prepared(self) -> Posting:
        means = self._means
        posting: Posting | None = self._records.get(Posting)
        if posting is None or not fits(posting, means.bounty, means.holder):
            with means.watch.timed(0, "encrypt"):
                posting = prepare(means.bounty, means.holder, means.copies)
            self._records.put(posting)
        return posting

    def _posted_in(self, bounty: BountyId) -> int | None:
        """The block of a posting by the chain's record, once it is confirmed."""
        market = self._means.market
        head, posted = market.head(), market.posting(bounty)
        confirmed = posted is not None and head.number - posted.block + 1 >= self._means.confirmations
        return posted.block if posted is not None and confirmed else None
