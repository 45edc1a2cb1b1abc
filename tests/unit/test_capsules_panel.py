"""Capsules asked at once: who is waited for, what is compared, and what is wrong with an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from eth_account import Account
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.capsules.answers import Place
from pysonar.capsules.client import FRESH_S, Asker, Clock, HttpCapsule
from pysonar.capsules.members import Wanted, cover_of
from pysonar.capsules.panel import Members, Panel, too_few
from sonar.chain.signatures import sign_digest
from sonar.errors import (
    CapsuleFault,
    CapsuleRefused,
    CapsulesDiffer,
    CapsuleUnavailable,
    ConfigError,
    RemoteError,
    SonarError,
)
from sonar.manifests.capsule import (
    FunctionalAnswer,
    Identity,
    Problem,
    SignedAnswer,
    SignedRequest,
    SumAnswer,
)
from sonar.protocol.capsules import answer_digest, request_digest
from sonar.protocol.ids import Address, Digest, digest_of, parse_address
from sonar.veil.classes import Classes
from tests.veil_kit import HERE, Capsule, Somewhere, make_capsules

SITE = Somewhere(address=parse_address("0x" + "c0" * 20, "contract"))
PLACE = Place(SITE.chain_id, SITE.address)
ME = Account.create()
BODY = b"a question"
N_BYTES, N = 64, mpz((1 << 512) - 569)
CAPSULES = make_capsules(3)

Answer = Callable[[], bytes]


def signed(capsule: Capsule, body: bytes, site: Somewhere = SITE) -> bytes:
    digest = answer_digest(site.chain_id, site.address, body)
    return SignedAnswer(body=body, signature=sign_digest(capsule.account, digest)).to_bytes()


def told(capsule: Capsule, numbers: dict[int, int], classes: tuple[int, ...], **changes: Any) -> bytes:
    """An answer to BODY that says the same number for both asks of each class."""
    rows = tuple(tuple(numbers[number] for number in classes) for _ in range(2))
    fields: dict[str, Any] = {"capsule": capsule.address, "request": digest_of(BODY), "values": rows}
    return FunctionalAnswer(**(fields | changes)).to_bytes()


class Town:
    """Three capsules of two, and how each answers: bytes with status 200, or what it raises or returns."""

    def __init__(self, members: int = 3, threshold: int = 2) -> None:
        self.capsules = make_capsules(members)
        self.members = Members(tuple(one.address for one in self.capsules), Classes(members, threshold))
        values = {number: 100 + number for number in range(self.members.classes.count)}
        self.answers: list[Callable[[httpx.Request], httpx.Response]] = [
            self.says(place, signed(one, told(one, values, self.members.classes.held_by(place))))
            for place, one in enumerate(self.capsules)
        ]
        self.values = values
        self.requests: list[bytes] = []

    def says(self, _place: int, data: bytes, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
        return lambda _request: httpx.Response(status, content=data)

    def lies(self, place: int, values: dict[int, int]) -> None:
        one, held = self.capsules[place], self.members.classes.held_by(place)
        self.answers[place] = self.says(place, signed(one, told(one, self.values | values, held)))

    def panel(self, timeout_s: float = 5.0) -> Panel:
        def handle(place: int) -> Callable[[httpx.Request], httpx.Response]:
            def answer(request: httpx.Request) -> httpx.Response:
                self.requests.append(request.content)
                return self.answers[place](request)

            return answer

        asker = Asker(SITE.chain_id, SITE.address, ME, lambda: 1000)
        return Panel(
            [
                HttpCapsule(
                    one.address,
                    f"https://user:secret@capsule-{place}.example/path",
                    asker,
                    timeout_s=timeout_s,
                    transport=httpx.MockTransport(handle(place)),
                )
                for place, one in enumerate(self.capsules)
            ]
        )

    def ask(self, panel: Panel | None = None, known: dict[Address, SignedAnswer] | None = None) -> Any:
        read = PLACE.functionals(BODY, [8, 8])
        return (panel or self.panel()).ask(self.members, "functional", BODY, read, known or {})


def test_all_three_are_asked_with_requests_of_their_own_and_compared() -> None:
    town = Town()
    heard = town.ask()
    assert heard.enough
    assert len(heard.told) == 3
    assert heard.by_class() == [(100, 100), (101, 101), (102, 102)]
    requests = [SignedRequest.from_bytes(data) for data in town.requests]
    assert {one.capsule for one in requests} == set(town.members.accounts)
    assert len({one.nonce for one in requests}) == 3
    for one in requests:
        assert one.body == BODY
        assert 1000 < one.expires_s <= 1000 + 3600
        digest = request_digest(SITE.chain_id, SITE.address, one.capsule, one.nonce, one.expires_s, BODY)
        assert one.signature == sign_digest(ME, digest)


def test_who_hangs_is_not_waited_for_and_is_compared_when_it_comes() -> None:
    town, free = Town(), threading.Event()
    panel, answer = town.panel(), town.answers[1]
    town.lies(1, {0: 7})
    lie = town.answers[1]

    def slow(request: httpx.Request) -> httpx.Response:
        free.wait(20)
        return lie(request)

    town.answers[1] = slow
    begun = time.monotonic()
    heard = town.ask(panel)
    assert time.monotonic() - begun < 4
    assert heard.enough
    assert len(heard.told) == 2
    free.set()
    time.sleep(0.3)
    town.answers[1] = answer
    with pytest.raises(CapsulesDiffer, match=town.capsules[1].address):
        town.ask(panel)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_two_that_differ_are_both_named(place: int) -> None:
    town = Town()
    number = town.members.classes.held_by(place)[0]
    town.lies(place, {number: 99})
    with pytest.raises(CapsulesDiffer) as caught:
        town.ask()
    named = {one.address for one in town.capsules if one.address in str(caught.value)}
    holders = {town.capsules[each].address for each in town.members.classes.holders(number)}
    assert named == holders


def test_recorded_answers_are_used_and_nobody_is_asked() -> None:
    town = Town()
    first = town.ask()
    town.requests.clear()
    again = town.ask(known=dict(list(first.signed.items())[:2]))
    assert again.by_class() == first.by_class()
    assert town.requests == []
    more = town.ask(known=dict(list(first.signed.items())[:1]))
    assert len(more.told) == 3
    assert len(town.requests) == 2


WRONG: dict[str, Callable[[Capsule, Capsule, bytes], bytes]] = {
    "no answer": lambda one, other, body: b"\xa0",
    "unsigned": lambda one, other, body: SignedAnswer(body=body, signature=b"\1" * 65).to_bytes(),
    "signed by another": lambda one, other, body: signed(other, body),
    "of another chain": lambda one, other, body: signed(one, body, Somewhere(chain_id=1)),
    "another's": lambda one, other, body: signed(one, told(other, {1: 1, 2: 2}, (1, 2))),
    "to another question": lambda one, other, body: signed(
        one, told(one, {1: 1, 2: 2}, (1, 2), request=Digest(b"q" * 32))
    ),
    "too few asks": lambda one, other, body: signed(one, told(one, {}, (), values=((1, 2),))),
    "too few classes": lambda one, other, body: signed(one, told(one, {1: 1}, (1,))),
    "more bits": lambda one, other, body: signed(one, told(one, {1: 256, 2: 1}, (1, 2))),
    "a sum": lambda one, other, body: signed(
        one, SumAnswer(capsule=one.address, request=digest_of(BODY), sums=(b"1",)).to_bytes()
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_answer_is_left_out_and_told(wrong: str) -> None:
    """Member 0 of three holds the classes 1 and 2."""
    town = Town()
    one, other = town.capsules[:2]
    body = told(one, town.values, (1, 2))
    town.answers[0] = town.says(0, WRONG[wrong](one, other, body))
    heard = town.ask()
    assert heard.enough
    assert set(heard.told) == {each.address for each in town.capsules[1:]}
    assert isinstance(heard.faults[one.address], CapsuleFault)
    assert one.address in str(heard.faults[one.address])
    town.answers[1] = town.says(1, b"")
    problem = too_few(town.ask(), "what it takes")
    assert isinstance(problem, CapsuleUnavailable)
    assert one.address in str(problem)
    assert other.address in str(problem)
    assert problem.hint


@pytest.mark.parametrize(
    ("answer", "told_of"),
    [
        (lambda _: httpx.Response(500, content=b"<html>"), "status 500"),
        (lambda _: httpx.Response(302, headers={"location": "https://elsewhere.example"}), "status 302"),
        (lambda _: httpx.Response(200, content=bytes(9 << 20)), "more than"),
    ],
)
def test_something_else_at_its_address_is_told_without_secrets(answer: Any, told_of: str) -> None:
    town = Town()
    town.answers[0] = answer
    fault = town.ask().faults[town.capsules[0].address]
    assert told_of in str(fault)
    assert "capsule-0.example" in str(fault) or isinstance(fault, CapsuleFault)
    assert "secret" not in str(fault)
    assert fault.hint


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_one_that_does_not_answer_is_named(error: Exception) -> None:
    town = Town()

    def fails(_request: httpx.Request) -> httpx.Response:
        raise error

    town.answers[2] = fails
    fault = town.ask().faults[town.capsules[2].address]
    assert isinstance(fault, CapsuleUnavailable)
    assert town.capsules[2].address in str(fault)
    assert "running" in fault.hint


def test_a_refusal_says_its_code_and_whose_answer_is_at_fault() -> None:
    town, mine = Town(), Address("0x" + "9" * 40)
    problem = Problem(code="mine", problem="bad\x1b[31m envelope", hint="ask it", mine=mine)
    town.answers[0] = town.says(0, problem.to_bytes(), 409)
    heard = town.ask()
    fault = heard.faults[town.capsules[0].address]
    assert isinstance(fault, CapsuleRefused)
    assert (fault.code, fault.mine, fault.hint) == ("mine", mine, "ask it")
    assert "\x1b" not in str(fault)
    assert heard.named() == {mine}


def test_a_member_that_the_network_does_not_list_is_named() -> None:
    town = Town()
    other = make_capsules(1)[0].address
    with pytest.raises(ConfigError, match=other) as caught:
        _ = town.panel()[other]
    assert "network file" in caught.value.hint


# ---- who a capsule is


def identity(capsule: Capsule, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "chain_id": SITE.chain_id,
        "contract": SITE.address,
        "key": capsule.signed(HERE),
        "version": "1",
        "least": 2,
        "bits": 256,
        "policy": "",
    }
    return signed(capsule, Identity(**(fields | changes)).to_bytes())


def covered(town: Town, **wanted: Any) -> Any:
    fields: dict[str, Any] = {"accounts": (), "threshold": 2, "bits": 256, "least": 2}
    return cover_of(town.panel(), PLACE, Wanted(**(fields | wanted)))


def test_a_cover_names_all_members_with_their_newest_keys() -> None:
    town = Town()
    for place, one in enumerate(town.capsules):
        town.answers[place] = town.says(place, identity(one))
    cover = covered(town)
    assert [member.account for member in cover.members] == list(town.members.accounts)
    assert (cover.threshold, cover.bits) == (2, 256)
    two = covered(town, accounts=(town.capsules[2].address, town.capsules[0].address))
    assert [one.account for one in two.members] == [town.capsules[0].address, town.capsules[2].address]


ODD: dict[str, tuple[Callable[[Capsule, Capsule], bytes], type[SonarError], str]] = {
    "network": (lambda one, _: identity(one, chain_id=1), CapsuleFault, "another network"),
    "contract": (lambda one, _: identity(one, contract=Address("0x" + "8" * 40)), CapsuleFault, "network"),
    "account": (lambda one, other: identity(other), CapsuleFault, "did not sign"),
    "key": (lambda one, other: identity(one, key=other.signed(HERE)), CapsuleFault, "says that it is"),
    "forged": (
        lambda one, other: identity(one, key=one.signed(HERE, by=other)),
        CapsuleFault,
        "did not sign",
    ),
    "epoch": (lambda one, _: identity(one, key=one.signed(HERE, epoch=9)), CapsuleFault, "did not sign"),
    "copied": (
        lambda one, other: identity(one, key=one.signing(other.key.public, HERE)),
        CapsuleFault,
        "have the same HPKE key",
    ),
    "bits": (lambda one, _: identity(one, bits=12), ConfigError, "bits"),
    "least": (lambda one, _: identity(one, least=5), ConfigError, "min_mines"),
    "version": (
        lambda one, _: signed(one, identity_of_version_3()),
        CapsuleFault,
        "cannot be read",
    ),
}


def identity_of_version_3() -> bytes:
    from sonar.protocol import codec

    return codec.encode({"v": 3, "kind": "identity"})


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_capsule_is_named_before_anything_is_posted(odd: str) -> None:
    town = Town()
    for place, one in enumerate(town.capsules):
        town.answers[place] = town.says(place, identity(one))
    make, kind, said = ODD[odd]
    one, other = town.capsules[1], town.capsules[0]
    town.answers[1] = town.says(1, make(one, other))
    with pytest.raises(kind, match=said) as caught:
        covered(town)
    assert one.address in str(caught.value)
    assert caught.value.hint
    assert "do without it" not in caught.value.hint  # a new bounty takes all of its members


def refused_connection(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_a_capsule_that_is_away_when_a_bounty_is_posted_can_be_left_out() -> None:
    town = Town()
    for place, one in enumerate(town.capsules):
        town.answers[place] = town.says(place, identity(one))
    town.answers[1] = refused_connection
    with pytest.raises(CapsuleUnavailable, match=town.capsules[1].address) as caught:
        covered(town)
    assert "takes the key of each of its members" in caught.value.hint
    assert "goes on by itself" not in caught.value.hint


def test_a_threshold_beyond_the_list_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold") as caught:
        covered(Town(), threshold=4)
    assert "lower" in caught.value.hint


def test_the_chain_is_asked_for_its_time_once_for_what_is_asked_at_once() -> None:
    times, now_s = iter([1000, 1007]), [50.0]
    clock = Clock(lambda: next(times), lambda: now_s[0])
    assert [clock(), clock(), clock()] == [1000] * 3
    now_s[0] += FRESH_S
    assert [clock(), clock()] == [1007] * 2


# ---- hostile bytes


@given(st.integers(0, 2), st.binary(max_size=300), st.sampled_from([200, 400, 409, 500, 503]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_answer_or_a_fault_of_ours(place: int, data: bytes, status: int) -> None:
    capsule = CAPSULES[place]
    asker = Asker(SITE.chain_id, SITE.address, ME, lambda: 1000)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=data))
    with pytest.raises((CapsuleFault, CapsuleUnavailable)):
        HttpCapsule(capsule.address, "http://a.example", asker, transport=transport).ask("functional", BODY)


@given(st.integers(0, 400), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_an_answer_with_one_byte_changed_is_none(at: int, change: int) -> None:
    capsule, read = CAPSULES[0], PLACE.functionals(BODY, [8, 8])
    data = bytearray(signed(capsule, told(capsule, {1: 1, 2: 2}, (1, 2))))
    data[at % len(data)] ^= change
    with pytest.raises(RemoteError):
        read(capsule.address, (1, 2), SignedAnswer.from_bytes(bytes(data)))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_a_signed_body_of_any_bytes_is_refused_by_name(body: bytes) -> None:
    """A capsule's own account may sign what it likes."""
    capsule = CAPSULES[0]
    answer = SignedAnswer.from_bytes(signed(capsule, body or b"\0"))
    for read in (PLACE.functionals(BODY, [8, 8]), PLACE.sums(BODY, 2, N)):
        with pytest.raises(CapsuleFault, match=capsule.address):
            read(capsule.address, (1, 2), answer)
    with pytest.raises(CapsuleFault, match=capsule.address):
        PLACE.identity(capsule.address, answer)


@pytest.mark.parametrize(
    ("sums", "said"),
    [
        ((bytes(2 * N_BYTES),), "another shape"),
        ((bytes(2 * N_BYTES), bytes(N_BYTES)), "another shape"),
        ((bytes(2 * N_BYTES), b"\xff" * 2 * N_BYTES), "below n"),
    ],
)
def test_sums_of_another_shape_or_beyond_n_are_refused(sums: tuple[bytes, ...], said: str) -> None:
    capsule, read = CAPSULES[0], PLACE.sums(BODY, 2, N)
    body = SumAnswer(capsule=capsule.address, request=digest_of(BODY), sums=sums).to_bytes()
    with pytest.raises(CapsuleFault, match=said):
        read(capsule.address, (1, 2), SignedAnswer.from_bytes(signed(capsule, body)))
