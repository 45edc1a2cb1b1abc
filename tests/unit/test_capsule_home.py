"""A capsule's policy, its keys by epoch, and what remembers its ledger."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from eth_account import Account

from capsule.home import witness
from capsule.home.keys import Keys
from capsule.home.policy import POLICY_FILE, Policy, parse_listen, write_first
from capsule.home.witness import Witness
from sonar.errors import ConfigError, JournalBlocked, KeyFileError, UsageError
from sonar.home.folder import Home
from sonar.protocol.ids import Address, BountyId
from sonar.veil import envelopes
from sonar.veil.streams import seed_hash

BOUNTY = BountyId(b"b" * 32)
ONE, OTHER = Address("0x" + "1" * 40), Address("0x" + "2" * 40)


# ---- policy


def test_the_first_policy_file_says_the_defaults(tmp_path: Path) -> None:
    write_first(tmp_path, "https://capsule.example")
    found = Policy.load(tmp_path)
    assert found.service.url == "https://capsule.example"
    assert found.policy == Policy().policy
    text = (tmp_path / POLICY_FILE).read_text()
    settings = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)
    (tmp_path / POLICY_FILE).write_text(settings)
    assert Policy.load(tmp_path) == found
    named = set(re.findall(r"(?m)^([a-z_]+) = ", settings))
    assert named == {*type(found.service).model_fields, *type(found.policy).model_fields}


def test_an_address_that_the_policy_file_does_not_say_is_not_passed_over(tmp_path: Path) -> None:
    write_first(tmp_path, "https://capsule.example")
    write_first(tmp_path, "https://capsule.example")
    write_first(tmp_path, "")
    with pytest.raises(ConfigError, match=r"https://capsule\.example") as caught:
        write_first(tmp_path, "https://other.example")
    assert "change it there" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[policy]\nleast = 1", "policy.least"),
        ("[policy]\nleest = 3", "did you mean policy.least"),
        ('[policy]\nscientists = ["0x12"]', "scientists"),
        ('[policy]\nbounties = ["0x12"]', "bounties"),
        ('[policy]\nbounties = ["0x12"]', "copy it whole"),
        ('listen = "127.0.0.1:1"', "move it below [service]"),
        ("[service]\nport = 8551", 'write listen = "127.0.0.1:8551" below [service]'),
        ("[policies]\nleast = 3", "did you mean policy?"),
        ("[policy]\nbits = 12.0", "policy.bits"),
        ('[service]\nlisten = "here"', "service.listen"),
        ('[service]\nurl = "ftp://x"', "service.url"),
        ('[service]\nurl = "https://me:secret@x.example"', "takes no password"),
        ("[service]\nmax_body_bytes = 1", "service.max_body_bytes"),
        ("[policy", "TOML"),
    ],
)
def test_a_wrong_policy_names_its_field(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / POLICY_FILE).write_text(text)
    with pytest.raises(ConfigError) as error:
        Policy.load(tmp_path)
    assert words in f"{error.value} {error.value.hint}"
    assert POLICY_FILE in str(error.value)


def test_who_is_served(tmp_path: Path) -> None:
    def refusal(text: str) -> str:
        (tmp_path / POLICY_FILE).write_text(f"[policy]\n{text}")
        return Policy.load(tmp_path).policy.refusal(BOUNTY, ONE)

    ours, others = "0x" + BOUNTY.hex(), "0x" + "9" * 64
    assert not refusal("")
    assert not refusal(f'bounties = ["{ours}"]')
    assert refusal(f'bounties = ["{others}"]')
    assert refusal(f'bounties_refused = ["{ours.upper().replace("0X", "0x")}"]')
    assert not refusal(f'scientists = ["{ONE}"]')
    assert refusal(f'scientists = ["{OTHER}"]')
    assert refusal(f'scientists_refused = ["{ONE.lower()}"]')
    assert str(OTHER) in Policy.load(tmp_path).in_words() or str(ONE) in Policy.load(tmp_path).in_words()


def test_places_to_listen_at() -> None:
    assert parse_listen("127.0.0.1:0") == ("127.0.0.1", 0)
    assert parse_listen("[::1]:8551") == ("::1", 8551)
    for text in ("8551", ":8551", "host:", "host:x", "host:65536", "host:-1"):
        with pytest.raises(ValueError, match="not an address"):
            parse_listen(text)


# ---- keys


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", "capsule")


def test_each_epoch_s_key_opens_what_was_sealed_for_it_and_no_other_does(home: Home) -> None:
    account = Account.create()
    keys = Keys(home, 7, ONE)
    first = keys.add(account, 100)
    second = keys.add(account, 200)
    assert (first.epoch, second.epoch) == (1, 2)
    opened = Keys(home, 7, ONE).load(account)
    seed = b"s" * 32
    for epoch in (1, 2):
        public = opened[epoch].public
        context = envelopes.context(7, ONE, BOUNTY, OTHER, epoch, [seed_hash(seed)])
        sealed = envelopes.seal(public.hpke, [seed], context)
        assert opened[epoch].secret.open(sealed, context, [seed_hash(seed)]) == [seed]
        with pytest.raises(Exception, match="does not open"):
            opened[3 - epoch].secret.open(sealed, context, [seed_hash(seed)])
    assert keys.is_ours(first, Address(account.address))
    assert not Keys(home, 8, ONE).is_ours(first, Address(account.address))
    assert Keys(home, 8, ONE).load(account) == {}


def test_a_copy_of_the_home_opens_nothing_without_the_account(home: Home) -> None:
    account, thief = Account.create(), Account.create()
    keys = Keys(home, 7, ONE)
    keys.add(account, 100)
    (path,) = (home.path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    secret = keys.load(account)[1].secret.to_bytes()
    assert secret[:32] not in path.read_bytes()
    assert secret[-32:] not in path.read_bytes()
    assert keys.load(thief) == {}  # it is not the account's that is named
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyFileError, match="damaged"):
        keys.load(account)


def test_an_old_key_can_be_deleted_and_the_newest_cannot(home: Home) -> None:
    account = Account.create()
    keys = Keys(home, 7, ONE)
    with pytest.raises(KeyFileError, match="no key"):
        keys.public()
    keys.add(account, 1)
    with pytest.raises(UsageError, match="in use"):
        keys.delete(1)
    keys.add(account, 2)
    keys.delete(1)
    assert keys.epochs() == [2]
    assert keys.add(account, 3).epoch == 3  # a number is never used twice


# ---- the witness


def test_a_witness_remembers_outside_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(witness.VARIABLE, str(tmp_path / "memory"))
    assert Witness("a").read() is None
    Witness("a").write(b"mark")
    assert (Witness("a").read(), Witness("b").read()) == (b"mark", None)
    assert (tmp_path / "memory").stat().st_mode & 0o777 == 0o700
    (tmp_path / "memory").chmod(0o777)
    with pytest.raises(JournalBlocked, match="others may write"):
        Witness("a").read()
    monkeypatch.setenv(witness.VARIABLE, str(tmp_path / "none" / "memory"))
    with pytest.raises(JournalBlocked):
        Witness("a").write(b"mark")


def test_a_witness_is_in_memory_where_the_system_has_such_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(witness.VARIABLE, raising=False)
    assert witness.folder().name == f"sonar-capsule-{os.getuid()}"
    assert witness.folder().parent.is_dir()
