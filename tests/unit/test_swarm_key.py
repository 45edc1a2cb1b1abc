"""The swarm key: made once, for its owner's eyes, and found where the network says."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sonar.cli import app
from sonar.errors import ConfigError, KeyFileError, UsageError
from sonar.home.keystore import write_private
from sonar.store.kubo.swarm import (
    find_swarm_key,
    fingerprint,
    key_file_of,
    new_swarm_key,
    read_swarm_key,
)
from sonar.telling.terminal import run_app
from tests.killing_kit import homes_of_killed


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


def sonar(*args: str) -> int:
    return run_app(app, "sonar", ["swarm-key", *args])


def test_a_key_is_replaced_and_the_old_one_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one" / "swarm.key", tmp_path / "two" / "swarm.key"
    for path in (one, other):
        path.parent.mkdir()
    old = new_swarm_key(one)
    write_private(other, one.read_bytes())
    assert sonar("rotate", str(one), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    new = fingerprint(read_swarm_key(one))
    assert (told["before"], told["fingerprint"]) == (old, new)
    assert new != old == fingerprint(read_swarm_key(tmp_path / "one" / "swarm.key.old"))
    before = other.read_bytes()
    for given, words in (
        (["rotate"], "one of the two"),
        (["rotate", str(other), "--home", str(tmp_path)], "one of the two"),
        (["rotate", str(tmp_path / "none")], "cannot be read"),
        (["rotate", str(other), "--to", str(tmp_path / "none")], "cannot be read"),
        (["rotate", str(other), "--to", __file__], ""),
        (["rotate", "--home", str(tmp_path)], "has no swarm key"),
    ):
        assert sonar(*given) == 2, given
        assert words in capsys.readouterr().err
    assert other.read_bytes() == before
    for words in (f"fingerprint {new}, before {old}", "nothing was changed"):  # and once more
        assert sonar("rotate", "--home", str(tmp_path / "two"), "--to", str(one)) == 0
        assert words in capsys.readouterr().out
    assert fingerprint(read_swarm_key(other)) == new
    assert fingerprint(read_swarm_key(tmp_path / "two" / "swarm.key.old")) == old
    assert stat.S_IMODE(other.stat().st_mode) == stat.S_IMODE(other.with_name("swarm.key.old").stat().st_mode)
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    assert sonar("rotate", str(other), "--to", str(other) + ".old") == 0  # a mistake is undone
    assert fingerprint(read_swarm_key(other)) == old


def test_a_home_s_key_is_the_one_that_its_node_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, kept, own = tmp_path / "named", tmp_path / "ipfs" / "swarm.key", tmp_path / "swarm.key"
    monkeypatch.delenv("SONAR_SWARM_KEY_FILE", raising=False)
    kept.parent.mkdir()
    for path in (own, kept, named):  # a first peer's, a member's own copy, the one that network.toml names
        new_swarm_key(path)
        assert key_file_of(tmp_path, str(named), kept) == path
        if path != own:
            assert find_swarm_key(str(named), kept) == read_swarm_key(path)
    new_swarm_key(tmp_path / "variable")
    monkeypatch.setenv("SONAR_SWARM_KEY_FILE", str(tmp_path / "variable"))
    assert key_file_of(tmp_path, str(named), kept) == tmp_path / "variable"


def test_a_key_is_the_old_or_the_new_one_whenever_its_command_is_killed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    new_swarm_key(tmp_path / "new")
    old = new_swarm_key(tmp_path / "home" / "swarm.key")
    new = fingerprint(read_swarm_key(tmp_path / "new"))
    killed, whole = homes_of_killed(
        "sonar", tmp_path / "home", tmp_path / "killed", "swarm-key", "rotate", "--to", str(tmp_path / "new")
    )
    found = []
    for home in [*killed, whole]:
        found.append(fingerprint(read_swarm_key(home / "swarm.key")))
        assert sonar("rotate", "--home", str(home), "--to", str(tmp_path / "new")) == 0
        assert fingerprint(read_swarm_key(home / "swarm.key")) == new
        assert fingerprint(read_swarm_key(home / "swarm.key.old")) == old
    assert found == [old] * found.count(old) + [new] * found.count(new)
    assert found.count(old) > 2
    assert found[-1] == new
