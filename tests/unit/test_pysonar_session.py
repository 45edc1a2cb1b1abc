"""A notebook's session: places and password are checked when it opens; once closed it does nothing."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

import pysonar
from pysonar import wiring
from pysonar.campaign.lifecycle import Campaign
from sonar.errors import ChainUnavailable, ConfigError, HomeLocked, KeyFileError, SonarError, UsageError
from sonar.home import keystore
from sonar.home.folder import Home
from sonar.home.journal import Journal
from sonar.telling.progress import NullSink
from tests.unit.network_file import write_network

pytestmark = pytest.mark.usefixtures("no_backoff")


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SONAR_NETWORK", "SONAR_PASSWORD", "SONAR_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return write_network(tmp_path)


def opened(network: Path | str | None = None, password: str | None = "secret") -> pysonar.Session:
    return pysonar.connect("~/home", network, password=password, progress=NullSink())


def test_the_same_place_by_another_name_is_the_same_session(tmp_path: Path, network: Path) -> None:
    with opened("~/network.toml") as session:
        assert (tmp_path / "home" / "keystore").is_dir()
        assert pysonar.connect(tmp_path / "home", network) is session
        with pytest.raises(HomeLocked, match="this program itself"):
            opened()


def test_hints_name_the_arguments_of_the_call(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Home(tmp_path / "m1", "mine")
    monkeypatch.setattr("sys.stdin", None)
    other = subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path / "held")], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline()
    try:
        for arguments, problem, hint in (
            (("m1", network), "is a home of mine", 'name another by the argument home="…"'),
            (("held", network), "works in", 'or name another home by the argument home="…"'),
            (("new", "none.toml"), "there is no network file", 'name it by the argument network="…"'),
            (("new", network), "no password for the keystore", 'give password="…"'),
        ):
            home, file = arguments
            password = None if home == "new" else "secret"
            with pytest.raises(SonarError, match=problem) as caught:
                pysonar.connect(tmp_path / home, file, password=password, progress=NullSink())
            assert hint in caught.value.hint
            assert "--" not in caught.value.hint
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


_HOLDER = """
import sys, time
from pathlib import Path
from sonar.home.folder import Home
with Home(Path(sys.argv[1]), "pysonar").lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_mistyped_password_is_told_at_once(tmp_path: Path, network: Path) -> None:
    """Before a key is made under it, which nobody could open again."""
    opened(network).close()
    with pytest.raises(KeyFileError, match="the password is wrong"):
        opened(password="sceret")
    assert not (tmp_path / "home" / "keys").exists()
    opened().close()  # nor was the home left locked


def test_the_keystore_is_opened_once(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes most of a second where money is at stake."""
    load = keystore.load
    loaded: list[tuple[Any, ...]] = []

    def counted(*args: Any) -> Any:
        loaded.append(args)
        return load(*args)

    monkeypatch.setattr(keystore, "load", counted)
    with opened(network) as session:
        for name in ("one", "other"):
            with pytest.raises(ChainUnavailable):
                session.campaign(pysonar.Bounty.example("diabetes", name=name))
    assert len(loaded) == 1


def test_in_a_notebook_the_password_is_asked_for(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyFileError, match="no password"):
        opened(network, None)
    shell = SimpleNamespace(kernel=None)
    monkeypatch.setattr("pysonar.api.notebook_shell", lambda: shell)
    typed = iter(["one", "another", "secret", "secret", "secret"])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(typed))
    with pytest.raises(KeyFileError, match="differ"):  # a new account's is asked for twice
        opened(network, None)
    opened(network, None).close()
    opened(None, None).close()

    def no_reader(_: str) -> NoReturn:
        raise NotImplementedError("no frontend")

    monkeypatch.setattr(getpass, "getpass", no_reader)
    with pytest.raises(KeyFileError, match="no password"):
        opened(None, None)


def test_a_closed_session_does_nothing_more(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock on the home is gone: two programs would send with one account, and decrypt with one key."""

    def campaign_of(scientist: wiring.Scientist, bounty: pysonar.Bounty, _: str) -> Campaign:
        holder, outbox = SimpleNamespace(on_progress=lambda _: None), SimpleNamespace()
        journal = Journal(tmp_path / "j")
        return Campaign(None, None, None, holder, None, outbox, journal, bounty)  # type: ignore[arg-type]

    monkeypatch.setattr(wiring.Scientist, "campaign", campaign_of)
    with opened(network) as session:
        replaced = session.campaign(pysonar.Bounty.example("diabetes"))
        campaign = session.campaign(pysonar.Bounty.example("diabetes", rounds=3))
        with pytest.raises(UsageError, match="another bounty of its name"):
            replaced.fit()
    for act in (
        session.fund,
        campaign.fit,
        lambda: session.campaign("x"),
        lambda: session.key(campaign.bounty),
    ):
        with pytest.raises(UsageError, match="closed"):
            act()
    assert campaign.history() == []


def test_a_hint_is_shown_by_a_notebook_too() -> None:
    """It shows exceptions by Python's own means: the message, and the notes below it."""
    with pytest.raises(ConfigError) as told:
        pysonar.Bounty.example("diabetes", ruonds=3)
    assert told.value.__notes__ == ["hint: did you mean rounds?"]
    told.value.hint = "another"
    assert told.value.__notes__ == ["hint: another"]
