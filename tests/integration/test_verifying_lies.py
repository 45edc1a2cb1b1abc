"""Lies in a bounty that capsules audit, on a real chain: each is found, with its round, field and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sonar.localchain import anvil
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import ModelManifest, VeilCover
from sonar.protocol.ids import Cid, Digest
from sonar.store.mend import put_blob
from sonar.telling.verdicts import Finding, exit_code
from tests import veil_kit as veil
from tests.audited_kit import HONEST, PLAN, Audited, Lies, false, keep, kinds

pytestmark = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    made = Audited(tmp_path_factory.mktemp("audited"))
    yield made
    made.close()


def the_lie(audited: Audited, lies: Lies, rounds: int = 1) -> tuple[int, Finding]:
    """The one thing that is false of a bounty with these lies."""
    (found,) = what_is_false(audited, lies, rounds)
    return found


def the_weight(audited: Audited, lies: Lies, rounds: int = 1) -> tuple[int, Finding]:
    """What is false of a weight, where it is false as well that all mines of the set weigh the same."""
    found, (number, apart) = what_is_false(audited, lies, rounds)
    assert (number, apart.field) == (found[0], "cohort's set")
    assert "would tell their answers apart" in apart.found
    return found


def what_is_false(audited: Audited, lies: Lies, rounds: int) -> list[tuple[int, Finding]]:
    told = audited.verify(audited.run(lies, rounds))
    assert (told.result, exit_code(told)) == ("false", 4)
    return false(told)


# ---- lies of the scientist


def with_shares(shares: tuple[int, ...]) -> Callable[[int, dict[str, Any]], dict[str, Any]]:
    def lie(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        del number
        members = fields["cohort"]
        forged = tuple(
            member.model_copy(update={"share_bps": share})
            for member, share in zip(members, shares, strict=True)
        )
        return fields | {"cohort": forged}

    return lie


def test_shares_that_differ_from_what_was_paid_are_found(audited: Audited) -> None:
    told = audited.verify(audited.run(Lies(evidence=with_shares((5_000, 2_000, 3_000))), 1))
    mines = [mine.address for mine in audited.mines]
    assert [(number, f.field, f.expected, f.found) for number, f in false(told)] == [
        (1, f"evidence's share of {mines[1]}", "3000", "2000"),
        (1, f"evidence's share of {mines[2]}", "2000", "3000"),
    ]


def test_a_signature_of_one_capsule_alone_is_found(audited: Audited) -> None:
    """The contract takes it, since the terms name a committee in which one is enough."""
    told = audited.verify(audited.run(Lies(signers=(1,), threshold=1), 1))
    posting, signature = false(told)
    assert (posting[0], posting[1].field) == (0, "settler")
    assert "is the committee of 1 of" in posting[1].found
    assert (signature[0], signature[1].field) == (1, "signature")
    assert "65 bytes, not 2 signatures" in signature[1].found
    assert told.rounds[1].signed_by == [audited.capsules[1].address]


EVIDENCE_LIES = {
    "loss": 7,
    "best_loss": 7,
    "new_model": Cid("dag-cbor", Digest(b"x" * 32)),
    "model": Cid("dag-cbor", Digest(b"x" * 32)),
    "round": 9,
    "chain_id": 5,
    "bounty": b"z" * 32,
}


@pytest.mark.parametrize("name", EVIDENCE_LIES)
def test_every_field_of_the_evidence_is_held_against_the_chain(audited: Audited, name: str) -> None:
    lies = Lies(evidence=lambda _, fields: fields | {name: EVIDENCE_LIES[name]})
    number, finding = the_lie(audited, lies)
    assert (number, finding.group, finding.field) == (1, "evidence", f"evidence.{name}")


def test_other_rows_than_the_update_says_are_found(audited: Audited) -> None:
    def lie(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        del number
        first, *rest = fields["cohort"]
        first = first.model_copy(update={"rows": 41})
        return fields | {"cohort": (first, *rest), "accepted_rows": fields["accepted_rows"] + 1}

    number, finding = the_lie(audited, Lies(evidence=lie))
    assert (number, finding.field) == (1, f"evidence's rows of {audited.mines[0].address}")
    assert (finding.expected, finding.found) == ("40", "41")


def test_a_mine_that_is_summed_and_called_left_out_is_found(audited: Audited) -> None:
    def lie(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        del number
        first, *rest = fields["cohort"]
        first = first.model_copy(update={"accepted": False, "reason": "it fell ill", "share_bps": 1})
        rest[0] = rest[0].model_copy(update={"share_bps": 7_999})
        return fields | {"cohort": (first, *rest), "accepted_rows": 80}

    told = audited.verify(audited.run(Lies(evidence=lie), 1))
    fields = [finding.field for _, finding in false(told)]
    assert "mines accepted" in fields
    assert f"why {audited.mines[0].address} is left out and paid" in fields


@pytest.mark.parametrize("name", ["name", "zero_start", "holdout"])
def test_a_later_model_that_changes_more_than_weights_is_found(audited: Audited, name: str) -> None:
    other = {"name": "another", "zero_start": False, "holdout": Digest(b"i" * 32)}

    def lie(number: int, model: ModelManifest) -> ModelManifest:
        return model.model_copy(update={name: other[name]}) if number == 1 else model

    number, finding = the_lie(audited, Lies(model=lie))
    assert (number, finding.group, finding.field) == (1, "model", f"new model's {name}")


def test_a_cohort_with_another_update_weight_or_round_is_found(audited: Audited) -> None:
    def first(**changes: Any) -> Callable[[int, CohortManifest], CohortManifest]:
        def lie(number: int, cohort: CohortManifest) -> CohortManifest:
            del number
            one, *rest = cohort.addends
            return cohort.model_copy(update={"addends": (one.model_copy(update=changes), *rest)})

        return lie

    mine = audited.mines[0].address
    number, finding = the_lie(audited, Lies(cohort=first(update=Digest(b"u" * 32))))
    assert (number, finding.field) == (1, f"cohort's update of {mine}")
    number, finding = the_weight(audited, Lies(cohort=first(weight=41)))
    assert (finding.field, finding.expected) == (f"weight of {mine}", "at most its 40 rows")
    number, finding = the_lie(audited, Lies(cohort=lambda _, cohort: cohort.model_copy(update={"round": 2})))
    assert finding.field == "cohort's round"


def test_a_weight_that_moves_between_rounds_is_found(audited: Audited) -> None:
    def lie(number: int, cohort: CohortManifest) -> CohortManifest:
        one, *rest = cohort.addends
        weight = 40 if number == 1 else 39
        return cohort.model_copy(update={"addends": (one.model_copy(update={"weight": weight}), *rest)})

    number, finding = the_weight(audited, Lies(cohort=lie), rounds=2)
    assert (number, finding.expected, finding.found) == (2, "40", "39")
    assert finding.field == f"weight of {audited.mines[0].address}, as in its first sum"


def test_a_set_that_singles_out_a_mine_is_found(audited: Audited) -> None:
    """Round 2 sums all but one of round 1's."""

    def smaller(number: int, cohort: CohortManifest) -> CohortManifest:
        return cohort if number == 1 else cohort.model_copy(update={"addends": cohort.addends[1:]})

    def left_out(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        if number == 1:
            return fields
        first, second, third = fields["cohort"]
        first = first.model_copy(update={"accepted": False, "reason": "for privacy", "share_bps": 1})
        second = second.model_copy(update={"share_bps": 7_999})
        return fields | {"cohort": (first, second, third), "accepted_rows": 80}

    told = audited.verify(audited.run(Lies(cohort=smaller, evidence=left_out), 2))
    found = {finding.field: finding.found for number, finding in false(told) if number == 2}
    assert audited.mines[0].address in found["cohort's set"]


def test_a_sum_that_no_cohort_was_fixed_for_is_found(audited: Audited) -> None:
    number, finding = the_lie(audited, Lies(fixed=False))
    assert (number, finding.group, finding.expected) == (
        1,
        "cohort",
        "fixed on the chain before a sum was opened",
    )


def test_a_capsule_key_that_its_capsule_did_not_sign_is_found(audited: Audited) -> None:
    def lie(number: int, cover: VeilCover) -> VeilCover:
        del number
        first, second, third = audited.capsules
        members = (first.signed(audited.market), second.signed(audited.market, by=third), cover.members[2])
        return cover.model_copy(update={"members": members})

    posted = audited.post(Lies(cover=lie))
    ((number, finding),) = false(audited.verify(posted))
    assert (number, finding.group) == (0, "posting")
    assert finding.field == f"signature of the key of the capsule {audited.capsules[1].address}"
    signer, account = audited.capsules[2].address, audited.capsules[1].address
    assert finding.found == f"signed by {signer}, not by {account}"


# ---- lies of a mine: they are the scientist's too, once she accepts them


def _zeros(audited: Audited) -> bytes:
    return bytes(PLAN.ciphertexts * audited.key.public.ciphertext_bytes)


MINE_LIES: dict[str, Callable[[Audited, veil.Update], veil.Update]] = {
    "round": lambda audited, update: update.saying(round=7),
    "mine": lambda audited, update: update.saying(mine="0x" + "11" * 20),
    "rows": lambda audited, update: update.saying(rows=1),
    "veil.seeds": lambda audited, update: update.veil_saying(seeds=update.veil.seeds[:2]),
    "veil.wraps": lambda audited, update: update.veil_saying(wraps=update.veil.wraps + b"\0"),
    "veil.wraps: too large": lambda audited, update: update.veil_saying(
        wraps=b"\xff" * len(update.veil.wraps)
    ),
    "veil.envelopes": lambda audited, update: update.veil_saying(envelopes=update.veil.envelopes[:1]),
    "veil: is missing": lambda audited, update: update.saying(veil=None),
    "ciphertext": lambda audited, update: update.saying(blobs=put_blob(audited.store, _zeros(audited))),
    "parts": lambda audited, update: update.saying(blobs=update.manifest.blobs * 2),
}


@pytest.mark.parametrize("what", MINE_LIES)
def test_junk_that_was_accepted_is_found(audited: Audited, what: str) -> None:
    told = audited.verify(audited.run(Lies(update=lambda _, update: MINE_LIES[what](audited, update)), 1))
    found = {finding.field: finding.found for _, finding in false(told)}
    assert what.partition(":")[0] in found[f"update of {audited.mines[0].address}"]


def test_junk_that_was_left_out_is_no_lie_of_the_round(audited: Audited) -> None:
    def without(number: int, cohort: CohortManifest) -> CohortManifest:
        del number
        return cohort.model_copy(update={"addends": cohort.addends[1:]})

    def left_out(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        del number
        first, second, third = fields["cohort"]
        first = first.model_copy(update={"accepted": False, "reason": "malformed", "share_bps": 0})
        second = second.model_copy(update={"share_bps": 8_000})
        return fields | {"cohort": (first, second, third), "accepted_rows": 80}

    lies = Lies(update=lambda _, update: update.saying(rows=1), cohort=without, evidence=left_out)
    told = audited.verify(audited.run(lies, 1))
    # The kit pays its fixed shares all the same, so these two are false, and nothing else is.
    assert {finding.field.split(" of ")[0] for _, finding in false(told)} == {"evidence's share"}
    ((number, name),) = kinds(told, "note")[-1:]
    assert (number, name) == (1, f"update of {audited.mines[0].address}")


def test_another_s_ciphertexts_are_found_in_whoever_committed_later(audited: Audited) -> None:
    posted = audited.post(HONEST, 1)
    first, second, _ = (mine.address for mine in audited.mines)
    copied: list[veil.Update] = []

    def remember(mine: str, update: veil.Update) -> veil.Update:
        copied.append(update)
        return update if mine != second else update.carrying(audited.key.public, copied[0].ciphertexts)

    audited.every = remember
    try:
        audited.reveal(posted, 1)
    finally:
        audited.every = keep
    audited.settle(posted, 1)
    ((number, finding),) = false(audited.verify(posted))
    assert (number, finding.field) == (1, f"update of {second}")
    assert first in finding.found
