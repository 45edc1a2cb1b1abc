"""Whom a mine trusts with its answers, and what a scientist may not name as a capsule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from mine.consent import CapsulePolicy, Policy
from mine.work.veil import check_cover
from pysonar.bounty.settings import CapsuleSettings
from sonar.errors import ConfigError, ConsentError, ManifestError, SonarError
from sonar.manifests.model import AuditSpec, CapsuleKey, PaillierCover, VeilCover
from sonar.protocol.ids import Address, Digest
from sonar.veil.envelopes import EnvelopeKey
from tests.veil_kit import HERE, Capsule, Somewhere, cover_of, make_capsules

ONE, TWO = (Address("0x" + digit * 40) for digit in "12")
CAPSULES = make_capsules(7)
ACCOUNTS = [capsule.address for capsule in CAPSULES]
AUDIT = AuditSpec(optimiser=Digest(b"o" * 32))


def trusting(*accounts: Address, **changes: bool) -> Policy:
    return Policy(capsules=CapsulePolicy(trusted=accounts, **changes))


# ---- mine.toml


def test_the_table_of_capsules(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        f'[policy]\nmax_bits = 64\n[capsules]\ntrusted = ["{ONE.lower()}"]\n'
        "without = false\naudited = false\n"
    )
    policy = Policy.load(tmp_path)
    assert policy.capsules == CapsulePolicy((ONE,), without=False, audited=False)
    assert policy.max_bits == 64
    assert policy.trusting([TWO]).capsules.trusted == (ONE,)


def test_without_names_those_of_the_network_s_file_are_trusted(tmp_path: Path) -> None:
    for text in ("", "[capsules]\ntrusted = []\n"):
        (tmp_path / "mine.toml").write_text(text)
        policy = Policy.load(tmp_path)
        assert policy.capsules == CapsulePolicy((), without=True, audited=True)
        assert policy.trusting([ONE, TWO]).capsules.trusted == (ONE, TWO)


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("[capsules]\ntrust = []\n", "capsules.trust: there is no such field", "trusted"),
        ("[capsules]\nmax_bits = 8\n", "capsules.max_bits: there is no such", "move it below [policy]"),
        ("[policy]\nwithout = false\n", "policy.without: there is no such", "move it below [capsules]"),
        ("[capsule]\ntrusted = []\n", "capsule: is not a table", "did you mean [capsules]"),
        ("[[capsules]]\ntrusted = []\n", "capsules: is not a table", "single brackets"),
        ("[capsules]\nwithout = 1\n", "capsules.without: must be true or false (got 1)", "without = true"),
        ('[capsules]\naudited = "no"\n', "capsules.audited: must be true or false", "audited = true"),
        (
            "[capsules]\ntrusted = true\n",
            "capsules.trusted: must be a list of capsules' accounts",
            'trusted = ["',
        ),
        (
            "[capsules]\ntrusted = [5]\n",
            "capsules.trusted: must be a list of capsules' accounts",
            'trusted = ["',
        ),
        ('[capsules]\ntrusted = ["0x12"]\n', "capsules.trusted: '0x12' is not an address", ""),
        (
            f'[capsules]\ntrusted = ["{ONE}", "{ONE}"]\n',
            "capsules.trusted: names an account twice",
            "each capsule once",
        ),
        ("capsules = 3\n", "capsules: is not a table of this file", ""),
        ("without = true\n", "without: is not a table of this file", r"move it below [capsules]"),
        ("[policy]\nmax_bits = -1\n", "policy.max_bits: must be a whole number", "max_bits = 512"),
    ],
)
def test_a_wrong_line_names_its_field_and_what_to_write(
    tmp_path: Path, text: str, told: str, hint: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Policy.load(tmp_path)
    assert told in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert hint in caught.value.hint


# ---- whom a bounty names


@pytest.mark.parametrize(("members", "threshold"), [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 3), (7, 4)])
def test_strangers_are_accepted_while_they_cannot_open_an_answer_with_the_scientist(
    members: int, threshold: int
) -> None:
    """Whatever capsules are trusted: the rest, if they are all hers, must miss a class of seeds."""
    cover, places = cover_of(CAPSULES[:members], threshold), range(members)
    for count in range(members + 1):
        for trusted in combinations(places, count):
            held = {c for place in set(places) - set(trusted) for c in cover.classes.held_by(place)}
            policy = trusting(ONE, *(ACCOUNTS[place] for place in trusted))
            if len(held) < cover.classes.count:
                check_cover(cover, HERE, policy)
            else:
                with pytest.raises(ConsentError):
                    check_cover(cover, HERE, policy)


def test_a_refusal_names_the_capsules_and_the_line_that_would_accept_them(tmp_path: Path) -> None:
    cover = cover_of(CAPSULES[:3], 2)
    with pytest.raises(ConsentError) as caught:
        check_cover(cover, HERE, trusting(ONE, ACCOUNTS[1]))
    assert "you trust 1 of the bounty's 3 capsules, and with its threshold of 2 it takes 2" in str(
        caught.value
    )
    assert f"not {ACCOUNTS[0]}, {ACCOUNTS[2]}, which could read" in str(caught.value)
    line = caught.value.hint.partition(": ")[2]
    (tmp_path / "mine.toml").write_text(f"[capsules]\n{line}\n")
    accepting = Policy.load(tmp_path)
    assert accepting.capsules.trusted == (ONE, ACCOUNTS[1], ACCOUNTS[0])
    check_cover(cover, HERE, accepting)


def test_a_bounty_without_capsules_is_for_those_who_accept_that() -> None:
    check_cover(PaillierCover(), HERE, Policy())
    with pytest.raises(ConsentError, match="scientist's own software could read each answer") as caught:
        check_cover(PaillierCover(), HERE, trusting(without=False))
    assert "without = true" in caught.value.hint


def test_bits_beyond_the_limit_are_refused_and_the_limit_itself_is_not() -> None:
    policy = replace(trusting(*ACCOUNTS), max_bits=64)
    check_cover(cover_of(CAPSULES[:3], bits=64), HERE, policy)
    with pytest.raises(ConsentError, match="tell 65 bits of your answer in a round, above your limit of 64"):
        check_cover(cover_of(CAPSULES[:3], bits=65), HERE, policy)
    with pytest.raises(ConsentError, match="above your limit of 512"):
        check_cover(cover_of(CAPSULES[:3], bits=513), HERE, trusting(*ACCOUNTS))


def test_a_bounty_with_the_scientist_s_defaults_is_within_a_mine_s() -> None:
    assert CapsuleSettings().bits <= Policy().max_bits


def test_an_audit_is_for_those_who_accept_that_capsules_see_openings() -> None:
    cover = cover_of(CAPSULES[:3], audit=AUDIT)
    check_cover(cover, HERE, trusting(*ACCOUNTS))
    with pytest.raises(ConsentError, match="any 2 of them could read your answer together, without the"):
        check_cover(cover, HERE, trusting(*ACCOUNTS, audited=False))


# ---- hostile covers


def cover_with(change: Callable[[Capsule], CapsuleKey], place: int = 1) -> VeilCover:
    """A cover of three trusted capsules, of which one key is not what it should be."""
    members: Sequence[CapsuleKey] = [
        change(capsule) if each == place else capsule.signed() for each, capsule in enumerate(CAPSULES[:3])
    ]
    return VeilCover(threshold=2, members=tuple(members), bits=64)


FORGED: dict[str, Callable[[Capsule], CapsuleKey]] = {
    "a key of hers": lambda capsule: capsule.signed(hpke=EnvelopeKey.new().public),
    "signed by her": lambda capsule: capsule.signed(by=Capsule()),
    "signed by another capsule": lambda capsule: capsule.signed(by=CAPSULES[0]),
    "for another chain": lambda capsule: capsule.signed(Somewhere(chain_id=HERE.chain_id + 1)),
    "for another contract": lambda capsule: capsule.signed(Somewhere(address=ONE)),
    "of another epoch": lambda capsule: capsule.signed(epoch=2),
    "no signature": lambda capsule: capsule.signed().model_copy(update={"signature": bytes(65)}),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_key_that_its_capsule_has_not_signed_for_this_network_is_refused(name: str) -> None:
    """One that is trusted by its account: whoever made the key would open its envelopes."""
    with pytest.raises(ManifestError) as caught:
        check_cover(cover_with(FORGED[name]), HERE, trusting(*ACCOUNTS))
    epoch = 2 if name == "of another epoch" else 1
    assert str(caught.value).startswith(
        f"capsules.members: the key of capsule {ACCOUNTS[1]} for epoch {epoch}"
    )
    assert f"for contract {HERE.address} on chain {HERE.chain_id}" in str(caught.value)
    assert "do not join" in caught.value.hint
    check_cover(cover_with(Capsule.signed), HERE, trusting(*ACCOUNTS))


UNUSABLE: dict[str, Callable[[bytes], bytes]] = {
    "coefficients beyond the modulus": lambda sound: b"\xff" * 1184 + sound[1184:],
    "the point zero": lambda sound: sound[:1184] + bytes(32),
    "a point of order 1": lambda sound: sound[:1184] + b"\1" + bytes(31),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_nothing_can_be_sealed_for_is_refused(name: str) -> None:
    """Its owner has signed it all the same: it may be a stranger who wants mines to fail."""
    broken = CAPSULES[1].signing(UNUSABLE[name](EnvelopeKey.new().public))
    with pytest.raises(ManifestError, match=f"the key of capsule {ACCOUNTS[1]} for epoch 1 is no public key"):
        check_cover(cover_with(lambda _: broken), HERE, trusting(*ACCOUNTS))


HERS = make_capsules(7)


@pytest.mark.parametrize("threshold", range(1, 8))
def test_seven_capsules_of_hers_are_refused_at_any_threshold(threshold: int) -> None:
    with pytest.raises(ConsentError, match="you trust 0 of the bounty's 7 capsules"):
        check_cover(cover_of(HERS, threshold), HERE, trusting(*ACCOUNTS))


def test_a_threshold_of_one_makes_each_of_hers_enough() -> None:
    """Two trusted capsules of three would do with a threshold of two."""
    mixed = sorted([*CAPSULES[:2], HERS[0]], key=lambda one: int(one.address, 16))
    check_cover(cover_of(mixed, 2), HERE, trusting(*ACCOUNTS))
    with pytest.raises(ConsentError, match=f"it takes 3; not {HERS[0].address}, which could read"):
        check_cover(cover_of(mixed, 1), HERE, trusting(*ACCOUNTS))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"members": [CAPSULES[0]] * 2}, "not ascending, or one occurs twice"),
        ({"members": CAPSULES[:2][::-1]}, "not ascending, or one occurs twice"),
        ({"threshold": 4}, "is more than there are members"),
        ({"threshold": 0}, "threshold"),
        ({"members": []}, "members"),
        ({"members": make_capsules(8)}, "members"),
        ({"bits": 0}, "bits"),
        ({"bits": 4097}, "bits"),
        ({"threshold": 1, "audit": {"optimiser": b"o" * 32}}, "takes a threshold of at least 2"),
    ],
)
def test_a_cover_that_makes_no_sense_is_no_cover(changes: dict[str, object], told: str) -> None:
    """Two places of one capsule would count twice."""
    given: dict[str, object] = {"threshold": 2, "members": CAPSULES[:3], "bits": 64} | changes
    capsules = given["members"]
    assert isinstance(capsules, Sequence)
    keys = tuple(capsule.signed() for capsule in capsules)
    with pytest.raises(ManifestError, match=told):
        VeilCover.parse({**given, "members": keys})


def test_two_capsules_with_one_key_are_no_cover() -> None:
    """Each has signed it; but one would hold the seeds of both, and be two that are trusted."""
    first, second, third = CAPSULES[:3]
    keys = (first.signed(), second.signed(hpke=first.key.public), third.signed())
    with pytest.raises(ManifestError, match="two have the same HPKE key"):
        VeilCover.parse({"threshold": 2, "members": keys, "bits": 64})


def test_trust_is_judged_before_any_signature_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mine.work.veil.key_fault", lambda *_: pytest.fail("computed"))
    with pytest.raises(SonarError, match="you trust 0"):
        check_cover(cover_of(HERS, 4), HERE, trusting(*ACCOUNTS))
