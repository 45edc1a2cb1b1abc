"""Which bounties are answered in words, and what an update in words says: every field that could be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.errors import ManifestError, PlanError, UsageError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.totals import plan_of
from sonar.manifests.model import AuditSpec, ModelManifest, PaillierCover, PlanSpec
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.protocol.ids import Cid, Digest, links_of, parse_address
from sonar.settling.updates import Expected, Form, check_update
from sonar.veil.streams import seed_hash
from tests.holder_kit import job_of
from tests.unit.paillier_keys import small_key
from tests.veil_kit import BOUNTY, HERE, MINE, MODEL, cover_of, make_capsules, new_seeds, sealed

SPEC = SumsSpec(
    columns=(NumberColumn(name="x", low_q32=to_q32(-1), high_q32=to_q32(1)),),
    terms=(Outside(name="o", columns=("x",)),),
    rows_min=10,
    rows_max=1000,
)
PLAN = plan_of(SPEC, 512, 5)
COVER = cover_of(make_capsules(3), bits=24)
QUADRATIC = job_of(
    SlotPlan.make(
        key_bits=512, weights=3, bounds=Bounds(1 << 14, 1 << 14, 1 << 14), mines_max=5, weight_rows=50
    )
).manifest


def model_of(**changes: Any) -> ModelManifest:
    fields = {"family": SPEC, "cover": COVER, "plan": PlanSpec.parse(PLAN.to_dict())} | changes
    return ModelManifest.from_bytes(QUADRATIC.model_copy(update=fields).to_bytes())


def test_the_form_of_answers_follows_from_family_and_cover() -> None:
    assert model_of().answers_are_words
    assert not model_of(cover=PaillierCover()).answers_are_words
    assert not QUADRATIC.model_copy(update={"cover": COVER}).answers_are_words
    assert not QUADRATIC.answers_are_words


def test_an_audit_of_words_is_refused() -> None:
    audited = cover_of(make_capsules(3), audit=AuditSpec(optimiser=Digest(b"o" * 32)))
    with pytest.raises(ManifestError, match=r"cover\.audit: answers in words are not audited; leave it out"):
        model_of(cover=audited)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("weight_rows", 2, "answers in words all weigh 1"),
        ("b_max", 1 << 62, "under masks of words at most 62 do"),
        ("b_max", 1, "too small to tell who is out of range"),
    ],
)
def test_a_plan_that_no_words_hold_is_refused(field: str, value: int, why: str) -> None:
    plan = PlanSpec.parse(PLAN.to_dict() | {field: value})
    with pytest.raises(PlanError, match=why) as caught:
        _ = model_of(plan=plan).slot_plan
    assert caught.value.hint
    if field != "b_max" or value == 1:
        assert model_of(plan=plan, cover=PaillierCover()).slot_plan  # ciphertexts hold it


def test_a_form_of_ciphertexts_takes_a_key() -> None:
    words, ciphertexts = Form(PLAN, None, True), Form(PLAN, None, False)
    assert (words.numbers, words.blob_bytes, words.fingerprint) == (SPEC.values, 8 * SPEC.values, bytes(32))
    assert words.decode(b"whatever they are, they are words") == ()
    for ask in ("fingerprint", "blob_bytes"):
        with pytest.raises(UsageError, match="their key was not given"):
            getattr(ciphertexts, ask)
    with pytest.raises(UsageError, match="their key was not given"):
        ciphertexts.decode(b"")


def update() -> UpdateManifest:
    blob, seeds = bytes(8 * SPEC.values), new_seeds(COVER)
    plain = UpdateManifest(
        chain_id=HERE.chain_id,
        contract=parse_address(HERE.address),
        bounty=BOUNTY,
        round=1,
        mine=MINE,
        model=MODEL,
        key=bytes(32),
        rows=40,
        ciphertexts=SPEC.values,
        blobs=links_of(blob),
    )
    hashes = tuple(map(seed_hash, seeds))
    veil = Veil(nonce=b"n" * 32, seeds=hashes, wraps=b"", envelopes=sealed(plain, COVER, seeds))
    return plain.model_copy(update={"veil": veil})


EXPECTED = Expected(
    HERE.chain_id, parse_address(HERE.address), BOUNTY, 1, MODEL.digest, None, SPEC, PLAN, COVER
)


def veil_with(**changes: Any) -> Callable[[UpdateManifest], dict[str, Any]]:
    def change(one: UpdateManifest) -> dict[str, Any]:
        assert one.veil is not None
        return {"veil": one.veil.model_copy(update=changes)}

    return change


def test_an_update_in_words_that_is_right_is_taken() -> None:
    check_update(UpdateManifest.from_bytes(update().to_bytes()), EXPECTED, MINE)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("key", lambda _: {"key": b"k" * 32}),
        ("ciphertexts", lambda one: {"ciphertexts": one.ciphertexts + 1}),
        ("ciphertexts", lambda _: {"ciphertexts": PLAN.ciphertexts}),
        ("blobs", lambda one: {"blobs": one.blobs * 2}),
        ("blobs", lambda _: {"blobs": (Cid.of_blob(b"x"),) * 1024}),
        ("rows", lambda _: {"rows": 9}),
        ("round", lambda _: {"round": 2}),
        ("veil", lambda _: {"veil": None}),
        ("veil.wraps", veil_with(wraps=b"\0")),
        ("veil.seeds", veil_with(seeds=(b"s" * 32,))),
        ("veil.envelopes", veil_with(envelopes=(b"e",))),
    ],
)
def test_each_field_that_is_wrong_is_named(
    field: str, change: Callable[[UpdateManifest], dict[str, Any]]
) -> None:
    right = update()
    wrong = UpdateManifest.from_bytes(right.model_copy(update=change(right)).to_bytes())
    with pytest.raises(ManifestError) as caught:
        check_update(wrong, EXPECTED, MINE)
    assert caught.value.field == field


def test_words_under_no_capsules_are_refused() -> None:
    """Without a veil the same family answers in ciphertexts."""
    key = small_key(512).public
    uncovered = replace(EXPECTED, cover=PaillierCover(), key=key)
    with pytest.raises(ManifestError, match=r"^key: is not this round's"):
        check_update(update(), uncovered, MINE)
    ciphertexts = update().model_copy(update={"key": key.fingerprint, "ciphertexts": PLAN.ciphertexts})
    with pytest.raises(ManifestError, match=r"^veil: is there, but this bounty has no capsules"):
        check_update(ciphertexts, uncovered, MINE)
