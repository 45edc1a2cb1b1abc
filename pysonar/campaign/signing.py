"""Asks a bounty's settler for its signatures: the port; files for a person; capsules that audit.

Theory of operation. A round's settlement is decided before it is asked for, and is the same after a restart.
So the request may be written again at any time, and a signature that is there is checked against this
settlement each time it is read, whoever put it there: nothing needs to be remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pysonar.campaign.audit import Packets
from pysonar.campaign.records import Publication
from pysonar.capsules.answers import Place
from pysonar.capsules.client import Capsule
from pysonar.capsules.each import each
from pysonar.capsules.panel import PATIENCE_S, Panel
from sonar.chain.contract.market import Market
from sonar.chain.contract.settler import signature_fault
from sonar.chain.deploying.committee import committee_signature
from sonar.errors import CapsuleRefused, ConfigError, SonarError
from sonar.home.files import read_if_there
from sonar.home.keystore import write_private
from sonar.home.settlement import MAX_FILE_BYTES, SUFFIX, Settlement, read_signature
from sonar.protocol.ids import Address, parse_bytes32
from sonar.telling.progress import Progress

ASK_AGAIN_S = 5.0
OPENINGS_MISSING, TOLD_MISSING = "openings-missing", "told-missing"
HEDGE_S = 10.0
"""How long those that are asked first have, until the others are asked too."""


class Signing(Protocol):
    """Whoever can be asked for a settler's signature."""

    def signature(self, settlement: Settlement) -> bytes | None:
        """Return the settler's valid signature; None while there is none. Does not wait."""
        ...

    def place(self, settlement: Settlement) -> str:
        """Return where the request lies, for people."""
        ...


class SignatureFiles:
    """Settlements of the bounty `name` as files in `folder`, and their signatures in files beside them.

    `signature` raises KeyFileError if the request cannot be written, and what asking a settler's contract
    raises.
    """

    def __init__(self, folder: Path, name: str, market: Market, progress: Progress) -> None:
        self._folder, self._name = folder, name
        self._market, self._progress = market, progress
        self._told = ""

    def place(self, settlement: Settlement) -> str:
        """Return the path of the request."""
        return str(self._path(settlement))

    def signature(self, settlement: Settlement) -> bytes | None:
        """Write the request if it is not there, and return the signature that lies beside it, if it counts.

        A fault in one is reported once.
        """
        path = self._path(settlement)
        self._ask(path, settlement)
        try:
            signature = read_signature(path.with_suffix(SUFFIX))
        except ConfigError as error:
            self._tell(error)
            return None
        if signature is None:
            return None
        digest = parse_bytes32(settlement.digest, "digest")
        if problem := signature_fault(self._market, settlement.settler, digest, signature):
            hint = f"sign {path}, and put the signature in the place of this one"
            self._tell(ConfigError(str(path.with_suffix(SUFFIX)), problem, hint=hint))
            return None
        return signature

    def _path(self, settlement: Settlement) -> Path:
        return self._folder / f"{self._name}-{settlement.round}.json"

    def _ask(self, path: Path, settlement: Settlement) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(ConfigError):  # what cannot be read is written anew
            if read_if_there(path, "settlement", MAX_FILE_BYTES, never_wait=True) == settlement.to_bytes():
                return
        write_private(path, settlement.to_bytes())

    def _tell(self, error: ConfigError) -> None:
        if str(error) != self._told:
            self._progress.problem(error)
            self._told = str(error)


class CapsuleSignatures:
    """The committee of the capsules that audit a bounty: each recomputes a settlement before it signs it.

    As many are asked as must sign, those that signed last before others. An audit is work, shows a capsule
    what it needs not know, and takes earlier rounds' openings where a capsule did not audit those.

    `auditors` tells who they are, and how many must sign; `packets` what they recompute from.
    """

    def __init__(
        self,
        panel: Panel,
        place: Place,
        auditors: Callable[[], tuple[tuple[Address, ...], int]],
        packets: Callable[[], Packets],
        progress: Progress,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._panel, self._network, self._auditors = panel, place, auditors
        self._packets, self._progress, self._monotonic = packets, progress, monotonic
        self._signed: dict[bytes, bytes] = {}
        self._next_s, self._begun = 0.0, b""
        self._told: set[str] = set()
        self._last: tuple[Address, ...] = ()

    def place(self, settlement: Settlement) -> str:
        """Return who is asked."""
        accounts, threshold = self._auditors()
        return f"{threshold} of the capsules {', '.join(accounts)} must have recomputed it"

    def signature(self, settlement: Settlement) -> bytes | None:
        """Ask for signatures, and return the committee's once enough have signed.

        What is wrong with one is reported once, and they are asked again a little later.
        """
        digest = parse_bytes32(settlement.digest, "digest")
        if digest not in self._signed and self._monotonic() >= self._next_s:
            accounts, threshold = self._auditors()
            if digest != self._begun:
                self._begun = digest
                self._progress.waiting(f"capsules to recompute the settlement of round {settlement.round}")
            signatures, faults = self._ask(settlement, digest, accounts, threshold)
            if len(signatures) >= threshold:
                self._signed[digest] = committee_signature(digest, signatures, threshold)
                self._last = tuple(signatures)
            else:
                self._tell(faults.values())
                self._next_s = self._monotonic() + ASK_AGAIN_S
        return self._signed.get(digest)

    def _ask(
        self, settlement: Settlement, digest: bytes, accounts: Sequence[Address], threshold: int
    ) -> tuple[dict[Address, bytes], dict[Address, SonarError]]:
        """Signatures, and what is wrong with other capsules. Who lacks earlier rounds is sent them too.

        A capsule may have been away while others told about the round, and serve now. Auditors want to hear
        it, so it is asked again.
        """
        ordered = sorted(accounts, key=lambda account: account not in self._last)
        capsules = [self._panel[account] for account in ordered]
        signed, faults = self._asked(capsules, self._body(settlement), digest, threshold)
        for code in (TOLD_MISSING, OPENINGS_MISSING):
            behind = [self._panel[account] for account, fault in faults.items() if _code(fault) == code]
            if not behind or len(signed) >= threshold:
                continue
            if code == TOLD_MISSING:
                self._packets().ask_again(settlement.round)
                body = self._body(settlement)
            else:
                body = self._body(settlement, self._packets().settled_before(settlement.round))
            more, again = self._asked(behind, body, digest, threshold - len(signed))
            signed, faults = signed | more, faults | again
        return signed, faults

    def _asked(
        self, capsules: Sequence[Capsule], body: bytes, digest: bytes, enough: int
    ) -> tuple[dict[Address, bytes], dict[Address, SonarError]]:
        def audited(capsule: Capsule) -> bytes:
            return self._network.settlement(capsule.account, body, digest, capsule.ask("settlement", body))

        signed, faults = each(capsules[:enough], audited, enough, HEDGE_S)
        if (missing := enough - len(signed)) and (others := capsules[enough:]):
            more, again = each(others, audited, missing, PATIENCE_S)
            signed, faults = signed | more, faults | again
        return signed, faults

    def _tell(self, faults: Iterable[SonarError]) -> None:
        for fault in faults:
            if str(fault) not in self._told:
                self._progress.problem(fault)
            self._told.add(str(fault))

    def _body(self, settlement: Settlement, earlier: Sequence[int] = ()) -> bytes:
        packets, number = self._packets(), settlement.round
        publication: Publication = packets.records.get(Publication, number)
        shares = {str(award.mine): award.share_bps for award in settlement.awards}
        return packets.packet_of(number, publication, shares, earlier).to_bytes()


def _code(fault: SonarError) -> str:
    return fault.code if isinstance(fault, CapsuleRefused) else ""
