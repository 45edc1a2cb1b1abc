"""Write tests/vectors/audits.json: draws, settings and requests of audits.

python scripts/make_vectors_audits.py            write the file
python scripts/make_vectors_audits.py --check    only compare; exit 1 when it differs
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sonar.families.quadratic.optimisers.gradient_descent import GradientDescentWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.quadratic.optimisers.registry import written
from sonar.manifests.audit import (
    AuditedRound,
    AwardLine,
    Heard,
    HoldoutRows,
    OpenedAnswer,
    Openings,
    SettlementAnswer,
    SettlementRequest,
)
from sonar.protocol.ids import BountyId, Digest, digest_of, parse_address
from sonar.settling.lots import Lots

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "audits.json"
BOUNTY = BountyId(b"b" * 32)
MINES = [parse_address("0x" + byte * 20) for byte in ("02", "11", "ee")]


def lots() -> list[dict[str, Any]]:
    """Draws of a few bounties, rounds and purposes."""
    reveals = {str(mine): bytes(digest_of(mine.encode())) for mine in MINES}
    found = []
    for purpose, round in (("tests", 1), ("set", 1), ("tests", 255)):
        drawn, below = Lots(purpose, BOUNTY, round, reveals), Lots(purpose, BOUNTY, round, reveals)
        found.append(
            {
                "purpose": purpose,
                "bounty": BOUNTY.hex(),
                "round": round,
                "reveals": {mine: digest.hex() for mine, digest in reveals.items()},
                "bits": {str(bits): hex(drawn.draw(bits)) for bits in (1, 16, 64, 256, 300)},
                "below": {str(bound): below.below(bound) for bound in (2, 7, 255)},
            }
        )
    return found


def settings() -> list[dict[str, str]]:
    """Settings and their digests."""
    wishes = [GradientMemoryWish(), GradientMemoryWish(precondition=False), GradientDescentWish(rate=0.25)]
    texts = [written(metric, wish) for metric in ("r2", "log_loss") for wish in wishes]
    return [{"settings": text.decode(), "digest": digest_of(text).hex()} for text in texts]


def request() -> SettlementRequest:
    """A request with each of its fields; the numbers open nothing."""
    openings = Openings.of([(5, 7), (1, 2)], 8)
    answers = tuple(
        OpenedAnswer(mine=mine, update=digest_of(mine.encode()), openings=openings) for mine in MINES
    )
    heard = Heard(request=b"request", answers=(b"answer", b"other"))
    return SettlementRequest(
        chain_id=31_337,
        contract=parse_address("0x" + "c0" * 20),
        bounty=BOUNTY,
        round=2,
        new_model=Digest(b"m" * 32),
        new_loss=553_032,
        awards=tuple(
            AwardLine(mine=mine, share_bps=bps) for mine, bps in zip(MINES, (1, 9_999, 0), strict=True)
        ),
        evidence=Digest(b"e" * 32),
        rounds=(
            AuditedRound(round=1, weights=openings, answers=answers, sum=heard),
            AuditedRound(round=2, weights=openings, answers=answers[:1], asked=(heard,)),
        ),
        new_weights=openings,
        holdout=HoldoutRows.of(("x", "y"), np.array([[1.0, -2.5], [0.1, 1e300]]), b"s" * 32),
        optimiser=written("r2", GradientMemoryWish()),
    )


def answer() -> SettlementAnswer:
    """An answer to it."""
    return SettlementAnswer(
        capsule=MINES[0], request=request().digest(), settlement=b"d" * 32, signature=b"g" * 64 + b"\x1b"
    )


def made() -> dict[str, Any]:
    """The content of the file."""
    bodies = [{"kind": body.kind, "bytes": body.to_bytes().hex()} for body in (request(), answer())]
    return {"lots": lots(), "settings": settings(), "bodies": bodies}


def render() -> str:
    """The file's text."""
    return json.dumps(made(), indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if "--check" in arguments:
        same = PATH.read_text(encoding="utf-8") == render()
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_audits.py'}")
        return 0 if same else 1
    PATH.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
