"""Who could read a mine's answers, what is told of one and what that costs, in words for its operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mine.show.documents import CostFacts, CoverFacts, PriceFacts
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
        f"each capsule may tell {count(cover.bits, 'bit')} of an answer in a round, for tests and scores, "
        f"or to tell whose answer spoils a sum: at most {most} in all"
    )
    if cover.audited:
        yield (
            "audited: the capsules recompute each settlement; for that they see weights, holdout and pooled "
            f"sums, not your answer; {_after_an_audit(cover.threshold)}"
        )
    else:
        yield "not audited: what you are paid is the scientist's word"


def price_lines(price: PriceFacts, costs: Sequence[CostFacts]) -> Iterator[str]:
    """Give what a person wants to know of a bounty's price, line by line."""
    whose = "each mine adds noise enough by itself" if price.parts == 1 else f"noise of {price.parts} mines"
    yield f"a release costs epsilon {price.epsilon:.4g} at delta {price.delta:g}, once ({whose})"
    if price.parts > 1:
        yield (
            f"against who sees your answer alone, of which tests and scores tell a few bits, your own noise "
            f"leaves epsilon {price.alone:.4g}"
        )
    for cost in costs:
        if cost.free:
            yield f"{cost.data}: free, since the same release was made before"
        elif cost.left is not None:
            yield f"{cost.data}: epsilon {cost.left:.4g} at delta {cost.delta:g} would be left of its budget"


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
