"""A settlement that awaits its settler's signature, as a file, and the signature in a file beside it.

The scientist's program writes the one, `sonar sign` or a wallet the other. Each comes from another machine,
so each is hostile until checked; neither is a secret.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Self

from sonar.errors import ConfigError, RemoteError
from sonar.home.files import read_if_there, read_text, text_of
from sonar.home.keystore import write_private
from sonar.protocol.ids import Address, Digest, hex32, parse_address, parse_bounty, parse_bytes32
from sonar.protocol.seal import settlement_digest
from sonar.telling.documents import Integer, document, in_json, parsed, read

SUFFIX = ".signature"
MAX_SIGNATURE_BYTES = 16 * 1024
"""Of 252 owners of a contract, an ECDSA signature each."""
MAX_FILE_BYTES = 64 * 1024
"""Of 255 awards, 30 kB are taken."""
_ALL_BPS = 10_000


@document
class SettlementAward:
    """A mine's line in a settlement: its share of the round's reward in basis points."""

    mine: Address
    share_bps: int


@document
class Settlement:
    """What a settler signs, and what it must know of it.

    `chain_id` to `evidence_digest` are signed, as `digest`; `settler` and `until_s`, in chain time, tell
    whose signature counts until when. Digests and ids as hex, `new_loss` in millionths of the null model's.
    """

    chain_id: Integer
    contract: Address
    bounty: str
    round: int
    new_model_digest: str
    new_loss: Integer
    awards: list[SettlementAward]
    evidence_digest: str
    digest: str
    settler: Address
    until_s: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the settlement of a file, checked. Raises RemoteError, or UsageError naming the field."""
        found = read(cls, data)
        found.check()
        return found

    def to_bytes(self) -> bytes:
        """Return the file's content: JSON in lines, for people to read as well."""
        return json.dumps(in_json(self), indent=1, allow_nan=False).encode() + b"\n"

    def check(self) -> bytes:
        """Return the digest of these fields, 32 bytes, which must be the one they are told with.

        Raises ConfigError or UsageError naming the field, also for awards that the contract cannot take.
        """
        parse_address(self.settler, "settler")
        if not 0 <= self.until_s < 1 << 40:
            raise ConfigError("until_s", f"{self.until_s} is not a time on a chain", hint=_ANEW)
        lines = [(parse_address(one.mine, "mine"), one.share_bps) for one in self.awards]
        if any(int(a, 16) >= int(b, 16) for (a, _), (b, _) in pairwise(lines)):
            raise ConfigError("awards", "the mines are not in ascending order, each once", hint=_ANEW)
        if (total := sum(share for _, share in lines)) not in (0, _ALL_BPS):
            raise ConfigError("awards", f"the shares add up to {total}, not {_ALL_BPS} or 0", hint=_ANEW)
        computed = settlement_digest(
            self.chain_id,
            parse_address(self.contract, "contract"),
            parse_bounty(self.bounty),
            self.round,
            Digest(parse_bytes32(self.new_model_digest, "new_model_digest")),
            self.new_loss,
            lines,
            Digest(parse_bytes32(self.evidence_digest, "evidence_digest")),
        )
        if computed != parse_bytes32(self.digest, "digest"):
            problem = f"is not that of the other fields, which is {hex32(computed)}"
            raise ConfigError("digest", problem, hint=_ANEW)
        return computed


_ANEW = "the file was changed or damaged on its way: get it again from the bounty's scientist"


def read_settlement(path: Path) -> Settlement:
    """Return the settlement of a file, checked. Raises ConfigError, RemoteError, UsageError."""
    text = read_text(path, "settlement", MAX_FILE_BYTES)
    hint = "PySonar writes it into the scientist's home: settlements/NAME-ROUND.json"
    try:
        parsed(text)
    except RemoteError as error:  # which shows what it read: nothing for a file of another kind
        raise ConfigError("settlement", f"{path} holds no JSON", hint=hint) from error
    try:
        return Settlement.from_bytes(text.encode())
    except RemoteError as error:
        raise ConfigError("settlement", f"{path} is not a settlement: {error}", hint=hint) from error


def read_signature(path: Path) -> bytes | None:
    """Return the signature in a file, None if there is no file. Raises ConfigError if it holds none."""
    data = read_if_there(path, "signature", 2 * MAX_SIGNATURE_BYTES + 16, never_wait=True)
    if data is None:
        return None
    text = text_of(data, f"signature {path}").strip()
    if not re.fullmatch(r"0x(?:[0-9a-fA-F]{2})*", text, re.ASCII):
        hint = "put the signature there in hex, 0x first, and nothing else"
        raise ConfigError(str(path), f"{text[:20]!r} is not a signature", hint=hint)
    return bytes.fromhex(text[2:])


def write_signature(path: Path, signature: bytes) -> None:
    """Write a signature as `read_signature` takes it, whole or not at all. Raises KeyFileError."""
    write_private(path, f"{hex32(signature)}\n".encode())
