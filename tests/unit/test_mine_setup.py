from dataclasses import fields
from pathlib import Path

import pytest

from mine import setup
from mine.consent import Policy
from mine.data.dataset import register_example
from mine.work.state import Book, Joined, Part
from sonar.errors import ConfigError, UsageError
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.round import RoundEvent, RoundState

BOUNTY, DIGEST = BountyId(b"1" * 32), Digest(b"2" * 32)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    monkeypatch.setattr("sonar.home.keystore._SCRYPT_N", 2)


def network(path: Path, digit: str, *, dev: bool = False) -> Path:
    NetworkConfig(
        name=path.stem,
        dev=dev,
        chain_id=5,
        rpc_url="http://127.0.0.1:9",
        contract=Address("0x" + digit * 40),
        code_hash=DIGEST,
        store=StoreConfig(path="store"),
    ).save(path)
    return path


def take_over(home: Path, file: Path) -> str:
    setup.make_home(home, file, dev=False, insecure_keys=False, password_file=None)
    return NetworkConfig.load(home / "network.toml").name


def test_a_home_for_development_needs_such_a_network(tmp_path: Path) -> None:
    real, dev = network(tmp_path / "real", "1"), network(tmp_path / "dev", "2", dev=True)
    with pytest.raises(ConfigError, match="is not a development network"):
        setup.make_home(tmp_path / "home", real, dev=True, insecure_keys=False, password_file=None)
    assert not (tmp_path / "home").exists()
    setup.make_home(tmp_path / "home", dev, dev=True, insecure_keys=False, password_file=None)


@pytest.mark.parametrize("dev", [False, True])
def test_a_home_does_not_leave_a_network_where_its_stake_could_be_lost(tmp_path: Path, dev: bool) -> None:
    home = tmp_path / "home"
    one, two = network(tmp_path / "one", "1", dev=dev), network(tmp_path / "two", "2")
    assert take_over(home, one) == "one"
    assert take_over(home, two) == "two"  # nothing is at stake
    take_over(home, one)
    with Journal(home / "journal.sqlite") as journal:
        book = Book(journal)
        book.join(Joined(BOUNTY, register_example("diabetes", "1/10"), DIGEST, DIGEST, "", block=1))
        book.save(Part(BOUNTY, 3, RoundState.COMMITTED))
    assert take_over(home, network(tmp_path / "again", "1", dev=dev)) == "again"  # as of another node
    if dev:  # it may be gone, and its ether is worth nothing
        assert take_over(home, two) == "two"
        return
    with pytest.raises(UsageError, match="stake in round 3 on the network 'again' could be lost"):
        take_over(home, two)
    with Journal(home / "journal.sqlite") as journal:
        book = Book(journal)
        book.save(book.part(BOUNTY, 3).after(RoundEvent.REVEAL_SENT).after(RoundEvent.REVEAL_SEEN))
    assert take_over(home, two) == "two"


def test_the_policy_s_file_shows_every_default(tmp_path: Path) -> None:
    home = tmp_path / "home"
    take_over(home, network(tmp_path / "one", "1"))
    text, defaults = (home / "mine.toml").read_text(), Policy()
    assert Policy.load(home) == defaults
    for one in fields(Policy):
        if one.name not in ("tokens", "insecure_keys", "capsules", "privacy"):
            assert f"# {one.name} = {getattr(defaults, one.name)}" in text
    for each in ("trusted = []", "without = true", "audited = true"):
        assert f"# {each}" in text.partition("[capsules]")[2]
    for each in ("epsilon = 8", f"delta = {defaults.privacy.delta:g}".replace("e-05", "e-5"), "ledger = "):
        assert f"# {each}" in text.partition("[privacy]")[2]
