"""Who could read a mine's answers, and how much is told of one: as a document, in words for its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mine.show.documents import CoverFacts
from mine.work.state import Veiled
from sonar.protocol.ids import Address
from sonar.telling.text import count, short


def cover_facts(veil: Veiled | None, trusted: Sequence[Address]) -> CoverFacts:
    """Return what hides an answer in a bounty; `trusted` are the capsules that the operator trusts."""
    if veil is None:
        return CoverFacts("paillier", 0, [], [], 0, False, _NOBODY_BUT_HER)
    strangers = [account for account in veil.capsules if account not in trusted]
    return CoverFacts(
        "veil",
        veil.threshold,
        list(veil.capsules),
        strangers,
        veil.bits,
        veil.audited,
        f"{_readers(veil)}: {', '.join(_named(one, strangers) for one in veil.capsules)}",
    )


def in_lines(cover: CoverFacts) -> Iterator[str]:
    """Give what a person wants to know of it, line by line."""
    yield cover.readers
    if cover.kind == "paillier":
        return
    most = cover.bits * (len(cover.capsules) - cover.threshold + 1)
    yield (
        f"each capsule may tell {count(cover.bits, 'bit')} of an answer in a round, for tests and scores: "
        f"at most {most} in all"
    )
    if cover.audited:
        yield (
            "audited: the capsules recompute each settlement; for that they see weights, holdout and pooled "
            f"sums, not your answer; {_after_an_audit(cover.threshold)}"
        )
    else:
        yield "not audited: what you are paid is the scientist's word"


_NOBODY_BUT_HER = "the bounty has no capsules: the scientist's own software could read each answer of yours"


def _readers(veil: Veiled) -> str:
    members, threshold = len(veil.capsules), veil.threshold
    if members == 1:
        group = "this capsule could together with the scientist"
    elif members == threshold:
        group = f"these {members} capsules could, all of them together with the scientist"
    else:
        some = "each" if threshold == 1 else f"any {threshold}"
        group = f"{some} of these {members} capsules could together with the scientist"
    return f"nobody alone could read an answer of yours; {group}"


def _after_an_audit(threshold: int) -> str:
    return f"after one, {threshold} of them together could read it without the scientist"


def _named(account: Address, strangers: Sequence[Address]) -> str:
    return f"{short(account)} (not one that you trust)" if account in strangers else short(account)
