"""Capsules that complain falsely of a mine's envelope: with how many of them that mine loses its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capsule.problems import Refused
from pysonar.capsules.client import Asker
from sonar.manifests.capsule import Complaint, FunctionalRequest, SignedAnswer, SignedRequest
from sonar.protocol.ids import Address, Digest, digest_of
from sonar.settling.verdict import SPARED
from tests.integration.capsule_world import CapsuleWorld, InProcess


def complaining(one: InProcess, mine: Address) -> Callable[[str, bytes], bytes]:
    """What a capsule answers that says of this mine's envelope that it does not open, as of a bad one."""
    honest = one.service.answer

    def answer(kind: str, data: bytes) -> bytes:
        body = SignedRequest.from_bytes(data).body
        if kind == "functional" and mine in {ask.mine for ask in FunctionalRequest.from_bytes(body).asks}:
            raise Refused("mine", "the envelope does not open", mine=mine)
        return honest(kind, data)

    return answer


NOBODY = Address("0x" + "0" * 39 + "1")
Signing = Callable[[bytes], bytes]


def signing(one: InProcess, mines: set[Address], over: Signing = bytes) -> Callable[[str, bytes], bytes]:
    """What a capsule answers that complains of mines as an honest one does of a bad envelope, signed, but of
    one mine at a time. `over` changes the signature.
    """
    honest = one.service.answer

    def answer(kind: str, data: bytes) -> bytes:
        body = SignedRequest.from_bytes(data).body
        request = FunctionalRequest.from_bytes(body) if kind == "functional" else None
        bad = sorted(mines & {ask.mine for ask in request.asks}) if request else []
        if request is None or not bad:
            return honest(kind, data)
        complaint = Complaint(
            capsule=one.address,
            request=digest_of(body),
            bounty=request.bounty,
            round=request.round,
            mines=(bad[0],),
        )
        signed = SignedAnswer.from_bytes(one.means.sign(complaint.to_bytes()))
        return signed.model_copy(update={"signature": over(signed.signature)}).to_bytes()

    return answer


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, liars: int) -> tuple[Address, dict[str, Any]]:
    world = CapsuleWorld(folder, mines=4, settings={"rounds": 1})
    victim = world.miners[2].address
    for one in world.capsules[:liars]:
        monkeypatch.setattr(one.service, "answer", complaining(one, victim))
    campaign = world.campaign()
    world.run(campaign)
    world.check_money()
    (line,) = campaign.history()
    assert line["ended"] == "settled"
    return victim, line


def test_a_false_complaint_of_one_is_outvoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two others are enough: the round is what it would be, and the mine is paid."""
    _, fair = played(tmp_path / "fair", monkeypatch, 0)
    victim, line = played(tmp_path / "liar", monkeypatch, 1)
    assert (line["left_out"], line["loss"]) == ({}, fair["loss"])
    assert line["shares_bps"][victim] > 0


def test_false_complaints_of_two_cost_that_mine_the_round_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open, and said as open: so many capsules could as well be silent, which costs everybody."""
    victim, line = played(tmp_path, monkeypatch, 2)
    assert list(line["left_out"]) == [victim]
    assert line["left_out"][victim].startswith("test veil: too few capsules")
    assert line["loss"] < 1_000_000
    assert sum(line["shares_bps"].values()) == 10_000


# ---- audited bounties


@pytest.mark.parametrize("rounds", [1, 2])
def test_one_bad_envelope_does_not_stop_an_audit(tmp_path: Path, rounds: int) -> None:
    """The capsule of that envelope says so, signed: the mine is left out, and everybody signs."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": rounds}, audit=True)
    world.miners[2].spoilt = (1,)
    campaign, bad = world.campaign(), world.miners[2].address
    world.run(campaign)
    world.check_money()
    lines = campaign.history()
    assert [line["ended"] for line in lines] == ["settled"] * rounds
    for line in lines:
        assert list(line["left_out"]) == [bad]
        assert line["left_out"][bad].startswith("test veil: too few capsules")
        assert sum(line["shares_bps"].values()) == 10_000
        assert line["shares_bps"].get(bad, 0) == 0


def test_a_false_complaint_costs_an_audited_mine_one_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open, and said as open. In the next round it is back, and paid its fee at least."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 2}, audit=True)
    victim, liar = world.miners[2].address, world.capsules[1]
    honest = liar.service.answer
    lie = signing(liar, {victim})

    def once(kind: str, data: bytes) -> bytes:
        body = SignedRequest.from_bytes(data).body
        first = kind == "functional" and FunctionalRequest.from_bytes(body).round == 1
        return (lie if first else honest)(kind, data)

    monkeypatch.setattr(liar.service, "answer", once)
    campaign = world.campaign()
    world.run(campaign)
    world.check_money()
    first, second = campaign.history()
    assert [first["ended"], second["ended"]] == ["settled", "settled"]
    assert list(first["left_out"]) == [victim]
    assert set(second["left_out"].values()) <= {SPARED}  # two sums that differ by one mine would tell of it
    assert second["shares_bps"][victim] > 0


def test_complaints_whose_signature_is_bad_are_no_complaints(tmp_path: Path, monkeypatch: Any) -> None:
    """They are silence. Auditors reach the liar, so it stops the settlement, as by silence, and no faster."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1}, audit=True)
    liar = world.capsules[1]
    victim = world.miners[2].address
    lie = signing(liar, {victim}, lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]))
    monkeypatch.setattr(liar.service, "answer", lie)
    holder_asked: list[str] = liar.asked
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["overdue"]
    assert len(holder_asked) < 12


def test_a_capsule_that_complains_of_one_mine_after_the_other_is_heard_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it could have the scientist ask as often as there are mines, and leave out all of them."""
    world = CapsuleWorld(tmp_path, mines=5, settings={"rounds": 1}, audit=True)
    liar = world.capsules[1]
    monkeypatch.setattr(liar.service, "answer", signing(liar, {one.address for one in world.miners}))
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["overdue"]
    assert len(world.capsules[0].asked) < 12


def test_nobody_gets_a_complaint_signed_of_a_mine_whose_envelope_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """She asks about another update than the mine revealed, or about a round that it was not in."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1}, audit=True)
    one = world.capsules[1]
    honest, asker = (
        one.service.answer,
        Asker(
            world.market.chain_id,
            world.market.address,
            world.scientist,
            lambda: world.market.head().timestamp_s,
        ),
    )
    refusals: list[str] = []

    def tried(kind: str, data: bytes) -> bytes:
        if kind == "functional" and len(refusals) < 2:
            request = FunctionalRequest.from_bytes(SignedRequest.from_bytes(data).body)
            for changes in ({"update": Digest(b"x" * 32)}, {"update": request.asks[-1].parts[0].update}):
                ask = request.asks[0]
                if ask.mine == NOBODY:
                    continue
                part = ask.parts[0].model_copy(update=changes)
                lie = request.model_copy(update={"asks": (ask.model_copy(update={"parts": (part,)}),)})
                try:
                    honest(kind, asker.signed(one.address, lie.to_bytes()))
                    refusals.append("signed")
                except Refused as refusal:
                    refusals.append(refusal.code)
        return honest(kind, data)

    monkeypatch.setattr(one.service, "answer", tried)
    campaign = world.campaign()
    world.run(campaign)
    assert refusals == ["mine", "mine"]
    assert [line["ended"] for line in campaign.history()] == ["settled"]
