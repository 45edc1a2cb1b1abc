"""Documents as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from capsule.show.documents import AuditedLine, CapsuleStatus, Rotated, SignedList, Succeeded
from sonar.telling.tables import print_named, print_table, print_text
from sonar.telling.text import clock, count, short


def print_status(document: CapsuleStatus, *, wide: bool) -> None:
    """Print what a capsule told so far."""
    blind = f"of rounds that began by {clock(document.blind_until_s)}, only sums are told"
    print_named(
        {
            "capsule": document.address,
            "formerly": ", ".join(document.former),
            "state": "serves" if document.running else "does not run",
            "network": document.network + ("" if document.listed else ", whose file does not list it"),
            "url": document.url,
            "keys": f"of epoch {', '.join(map(str, document.epochs))}",
            "told": f"{count(document.bits, 'bit')} of answers, {count(document.sums, 'sum')}",
            "restored": blind if document.blind_until_s else "",
            "refused": ", ".join(f"{code} {times}" for code, times in document.refusals.items()),
        }.items()
    )
    if document.bounties:
        rows = [
            [
                one.bounty if wide else short(one.bounty),
                one.scientist if wide else short(one.scientist),
                "not seen" if one.open else "yes",
                str(one.epoch),
                str(one.mines),
                f"{one.bits:,}",
                str(one.sums),
            ]
            for one in document.bounties
        ]
        print_text("")
        headings = ["bounty", "scientist", "closed", "epoch", "mines", "bits\ntold", "sums"]
        print_table(headings, rows, right=("epoch", "mines", "bits\ntold", "sums"), wide=wide)


def print_rotated(document: Rotated, *, begun: bool) -> None:
    """Print which epoch new bounties name, and what became of the old keys."""
    many = len(document.kept)
    kept = f"{count(many, 'old key')} kept while bounties may need {'it' if many == 1 else 'them'}"
    deleted = f"deleted: {', '.join(map(str, document.deleted)) or 'none'}"
    print_text(f"epoch {document.epoch} {'begins' if begun else 'goes on'}; {kept}; {deleted}")
    if document.running and begun:
        print_text("the capsule that serves takes it up with its next request")


def print_succeeded(document: Succeeded) -> None:
    """Print which account took whose place, and what others do."""
    print_text(
        f"epoch {document.epoch} begins under {document.address}, in the place of {document.former}; "
        "bounties that have begun are served under that one as before\nstart `capsule run` again, and tell "
        "whoever runs the network: `sonar capsules --follow` takes the new account over into its file, and "
        "into a mine's home"
    )
    if document.lines:
        print_text(f"the file then has:\n\n{document.lines}")


_KINDS = {"functional": "bits"}
_KINDS_TOLD = (
    "bits: of updates, for tests and scores; sum: what takes the masks off a round's sum; settlement: its "
    "signature. request and answer: the digests of what was asked and signed"
)
_AUDITED_TOLD = (
    "loss: in millionths of the null model's; openings: ciphertexts whose decryption was proved and checked; "
    "mines paid: those with a share"
)


def print_signed(document: SignedList, *, wide: bool) -> None:
    """Print all that a capsule signed about a bounty."""
    rows = [
        [
            str(one.round),
            _KINDS.get(one.kind, one.kind),
            clock(one.at_s),
            one.request if wide else short(one.request),
            one.answer if wide else short(one.answer),
            str(one.bytes),
        ]
        for one in document.answers
    ]
    if not rows:
        print_text("nothing was told about this bounty")
        return
    print_table(
        ["round", "kind", "time", "request", "answer", "bytes"], rows, right=("round", "bytes"), wide=wide
    )
    print_text(_KINDS_TOLD)
    if document.settlements:
        print_text("")
        print_audited(document.settlements, wide=wide)
    print_text("")
    told = [[mine if wide else short(mine), str(bits)] for mine, bits in document.bits.items()]
    print_table(["mine", "bits"], told, right=("bits",), wide=wide)


def print_audited(settlements: Sequence[AuditedLine], *, wide: bool) -> None:
    """Print the settlements that a capsule recomputed and signed."""
    rows = [
        [
            str(one.round),
            one.settlement if wide else short(one.settlement),
            f"{one.loss:,}",
            str(one.openings),
            str(sum(share > 0 for share in one.shares_bps.values())),
            str(len(one.left_out)),
            {None: "signed", "": "follows"}.get(one.fault, f"DOES NOT FOLLOW: {one.fault}"),
        ]
        for one in settlements
    ]
    headings = ["round", "settlement", "loss", "openings", "mines\npaid", "left\nout", "recomputed"]
    print_table(headings, rows, right=("round", "loss", "openings", "mines\npaid", "left\nout"), wide=wide)
    print_text(_AUDITED_TOLD)
