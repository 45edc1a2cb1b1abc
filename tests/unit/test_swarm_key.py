"""The swarm key: made once, for its owner's eyes, and found where the network says."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sonar.cli import app
from sonar.errors import ConfigError, KeyFileError, UsageError
from sonar.store.kubo.swarm import find_swarm_key, fingerprint, new_swarm_key, read_swarm_key
from sonar.telling.terminal import run_app


def test_a_new_key_is_read_again_and_is_private(tmp_path: Path) -> None:
    told = new_swarm_key(tmp_path / "swarm.key")
    data = read_swarm_key(tmp_path / "swarm.key")
    assert fingerprint(data) == told
    assert stat.S_IMODE((tmp_path / "swarm.key").stat().st_mode) == 0o600
    assert data.startswith(b"/key/swarm/psk/1.0.0/\n/base16/\n")
    assert told not in data.decode()


def test_two_keys_differ_and_none_is_overwritten(tmp_path: Path) -> None:
    assert new_swarm_key(tmp_path / "one") != new_swarm_key(tmp_path / "two")
    with pytest.raises(UsageError, match="exists"):
        new_swarm_key(tmp_path / "one")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab" * 32,
        "/key/swarm/psk/1.0.0/\n/base16/\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 31 + "\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" + "zz" * 32 + "\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" + "ab " * 32 + "\n",
        "/key/swarm/psk/1.0.0/\n/base64/\n" + "ab" * 32 + "\n",
        "é",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "swarm.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a swarm key"):
        read_swarm_key(path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    new_swarm_key(tmp_path / "swarm.key")
    (tmp_path / "swarm.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="others may read"):
        read_swarm_key(tmp_path / "swarm.key")


def test_where_a_key_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, kept, variable = (tmp_path / name for name in ("named", "kept", "variable"))
    monkeypatch.delenv("SONAR_SWARM_KEY_FILE", raising=False)
    with pytest.raises(ConfigError, match="named"):
        find_swarm_key(str(named), kept)
    for path in (kept, named, variable):
        new_swarm_key(path)
    assert find_swarm_key("", kept) == read_swarm_key(kept)
    assert find_swarm_key(str(named), kept) == read_swarm_key(named)
    monkeypatch.setenv("SONAR_SWARM_KEY_FILE", str(variable))
    assert find_swarm_key(str(named), kept) == read_swarm_key(variable)


def test_the_command_makes_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "swarm.key")
    assert run_app(app, "sonar", ["swarm-key", "new", file, "--json"]) == 0
    made = capsys.readouterr().out
    assert run_app(app, "sonar", ["swarm-key", "show", file, "--json"]) == 0
    assert capsys.readouterr().out == made
    assert run_app(app, "sonar", ["swarm-key", "new", file]) == 2
    assert "hint: name another file" in capsys.readouterr().err
