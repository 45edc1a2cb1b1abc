"""What an auditor asks of its capsule: the chain at depth, whom it complains of, and what it has told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from capsule.audit.auditor import Auditor
from capsule.audit.public import OnChain
from capsule.problems import Refused
from sonar.chain.contract.reveals import Proof, proofs
from sonar.home.journal import Journal
from sonar.http import client
from sonar.manifests.capsule import MAX_ANSWER_BYTES
from sonar.protocol.ids import Address, BountyId, digest_of
from sonar.protocol.phase import Status

Fetch = Callable[[bytes], bytes | None]
PEER_S, SILENT_S = 5.0, 60.0

if TYPE_CHECKING:
    from capsule.home.ledger import Ledger
    from capsule.means import Means
    from capsule.opening.chainview import ChainView, View


def on_chain(site: tuple[int, Address], view: View, unproven: frozenset[Address] = frozenset()) -> OnChain:
    """Return a bounty as auditors read it; `site`: the chain's id and the contract."""
    return OnChain(*site, view.posted, view.state, view.status, view.rounds, unproven)


class Looked:
    """A capsule as its auditor sees it."""

    def __init__(self, means: Means, peers: Mapping[Address, Fetch]) -> None:
        self._means, self._peers, self._silent = means, peers, dict[Address, float]()

    def bounty(self, bounty: BountyId) -> OnChain:
        """Return a bounty at the network's depth. Raises Refused, ChainUnavailable, RpcError."""
        means = self._means
        view = means.chain.bounty(bounty)
        record = view.round(view.state.round)
        unproven: set[Address] = set()
        if view.status is Status.SETTLE:
            found = proofs(means.chain.market, record.reveals, view.head)
            unproven = {mine for mine, proof in found.items() if proof is Proof.WRONG}
        return on_chain(means.site, view, frozenset(unproven))

    def complains(self, bounty: BountyId, round: int, mine: Address) -> bool:
        """Tell whether this capsule cannot make a mine's masks in a round."""
        means = self._means
        view = means.chain.bounty(bounty)
        revealed = view.round(round).reveals.get(mine)
        if revealed is None:
            return False
        try:
            means.updates.get(means.bounties.get(view), view, round, mine, revealed.update_digest)
        except Refused as refusal:
            return refusal.code == "mine" and refusal.mine == mine
        return False

    def own_answer(self, body: bytes) -> bytes | None:
        """Return this capsule's `SignedAnswer` to a sum or functional; None if it has told none."""
        return self._means.ledger.answered(digest_of(body))

    def other_answer(self, account: Address, request: bytes) -> bytes | None:
        """Ask another capsule what it has told. One that cannot be reached is left alone for a minute."""
        now_s = time.monotonic()
        if account not in self._peers or now_s < self._silent.get(account, 0.0):
            return None
        found = self._peers[account](request)
        if found is None:
            self._silent[account] = now_s + SILENT_S
        return found


class Ledgered:
    """A capsule as its ledger and the chain show it: without keys, it can recompute, and sign nothing."""

    def __init__(self, chain: Callable[[], ChainView], ledger: Ledger) -> None:
        self._chain, self._ledger = chain, ledger

    def bounty(self, bounty: BountyId) -> OnChain:
        """Return a bounty at the network's depth. Raises Refused, ChainUnavailable, RpcError."""
        chain = self._chain()
        view, market = chain.bounty(bounty), chain.market
        return on_chain((market.chain_id, market.address), view)

    def own_answer(self, body: bytes) -> bytes | None:
        """Return this capsule's `SignedAnswer` to a sum or functional; None if it has told none."""
        return self._ledger.answered(digest_of(body))

    def other_answer(self, account: Address, request: bytes) -> bytes | None:
        """Ask nobody: what others said counted when it was signed."""
        return None


def fetch_from(url: str) -> Fetch:
    """Return what asks the capsule at an address for its answer to a request: see `Looked.other_answer`."""

    def fetch(request: bytes) -> bytes | None:
        address = httpx.URL(url).join(f"/v1/answers/{request.hex()}")
        try:
            with client(address, timeout=PEER_S) as http, http.stream("GET", address) as response:
                if response.status_code == HTTPStatus.NOT_FOUND:
                    return b""
                if response.status_code != HTTPStatus.OK:
                    return None
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES:
                        return None
                return bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None

    return fetch


def auditor_of(means: Means, journal: Journal, peers: Mapping[Address, Fetch]) -> Auditor:
    """Return the auditor of a capsule, with what it signed in `journal`; `peers`: the network's others."""
    return Auditor(Looked(means, peers), means.store, journal, means.account, insecure=means.insecure_keys)
