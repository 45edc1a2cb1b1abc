"""Who could have read what in the demo, whatever software they ran, and which capsules signed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sonar.telling.documents import document
from sonar.telling.text import count


@document
class CapsuleRow:
    """One capsule. `signed`: the rounds whose settlement has its signature."""

    name: str
    address: str
    pid: int
    signed: list[int]


@document
class Capsules:
    """The bounty's capsules: any `threshold` of them open a sum.

    `bits`: the most that each tells of a mine's update in a round. `audited`: whether they recompute the
    settlements, which so many of them must then sign.
    """

    rows: list[CapsuleRow]
    threshold: int
    bits: int
    audited: bool


HEADINGS = ("who", "a mine's update", "the weights", "the held-out rows", "signed\nrounds")


def readers(capsules: Capsules | None) -> Iterator[tuple[str, ...]]:
    """Yield a line of the table for each party, or parties that act together."""
    if capsules is None:
        yield ("the scientist", "yes, by software of her own", "yes", "yes", "")
        yield ("each mine", "its own", "no", "no", "")
        yield ("the public", "no", "no", "means and deviations", "")
        return
    bits = f"{capsules.bits} bits a round from each capsule"
    together = count(capsules.threshold, "capsule")
    after = "after an audit" if capsules.audited else "no"
    yield ("the scientist", bits, "yes", "yes", "")
    yield ("each mine", "its own", "no", "no", "")
    for row in capsules.rows:
        yield (row.name, "no", after, after, in_short(row.signed))
    yield (f"{together} and the scientist", "yes", "yes", "yes", "")
    yield (f"{together} without her", after, after, after, "")
    yield ("the public", "no", "no", "means and deviations", "")


def in_short(rounds: Sequence[int]) -> str:
    """Return rounds as ranges: "1-3, 5"."""
    parts: list[list[int]] = []
    for number in rounds:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, dict.fromkeys(part))) for part in parts)
