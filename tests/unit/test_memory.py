"""What scrypt needs of memory is known before it is taken, and said when it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account

from pysonar.keys import keyfile
from sonar.errors import MemoryShort
from sonar.home import keystore, memory
from tests.unit.test_settings import GOOD

MIB = memory.MIB
PASSWORD = "correct horse"
PRELUDE = """
import resource, sys
from pathlib import Path
import numpy, eth_account
from sonar.home import keystore, memory
from pysonar.keys import keyfile
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
def limit(mib):
    resource.setrlimit(resource.RLIMIT_AS, (used + (int(mib) << 20),) * 2)
"""


def run(script: str, *args: object) -> str:
    """Run a script in a process of its own, and return what it told."""
    command = [sys.executable, "-c", PRELUDE + script, *map(str, args)]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    return done.stdout + done.stderr


def test_what_scrypt_takes_is_what_its_specification_says() -> None:
    assert memory.scrypt_bytes(2**18, 8, 1) == 256 * MIB + 1024
    assert memory.scrypt_bytes(2**17, 8, 1) // MIB == 128


UNLOCK = """
path = Path(sys.argv[2])
limit(sys.argv[1])
from sonar.errors import SonarError
try:
    print(keystore.load(path, "correct horse").address)
except SonarError as error:
    print(type(error).__name__, error, "|", error.hint)
"""


def test_a_sound_keystore_is_not_called_damaged_where_memory_is_short(tmp_path: Path) -> None:
    account = Account.create()
    path = keystore.save(tmp_path, account, PASSWORD)
    told = run(UNLOCK, 150, path)
    assert told.startswith(
        f"MemoryShort unlocking {path} needs 256 MiB of memory, and this process may take 1"
    )
    assert "ulimit -v" in told
    assert run(UNLOCK, 500, path) == f"{account.address}\n"
    light = keystore.save(tmp_path / "light", account, PASSWORD, dev=True)
    assert run(UNLOCK, 60, light) == f"{account.address}\n"


@pytest.mark.parametrize(
    ("what", "script"),
    [
        ("keystore", 'keystore.load(Path(sys.argv[2]), "correct horse")'),
        ("Paillier key", 'keyfile.read(Path(sys.argv[2]), "correct horse")'),
    ],
)
def test_what_the_library_says_of_memory_is_understood_too(what: str, script: str, tmp_path: Path) -> None:
    """Where no limit could be read, and it is not there after all."""
    if what == "keystore":
        path = keystore.save(tmp_path, Account.create(), PASSWORD)
    else:
        path = tmp_path / "key.json"
        keyfile.write(path, b"secret", bytes(32), PASSWORD, light=False)
    told = run(f"memory.free_bytes = lambda: None\nlimit(sys.argv[1])\n{script}", 90, path)
    assert "MemoryShort" in told
    assert "this process got no more" in told


def test_a_mine_is_not_made_where_memory_is_short(tmp_path: Path) -> None:
    network = tmp_path / "network.toml"
    network.write_text(GOOD)
    script = """
import os
from mine.cli import main
import mine.setup, mine.wiring
limit(sys.argv[1])
os.environ["SONAR_PASSWORD"] = "correct horse"
sys.exit(main(["init", "--home", sys.argv[2], "--network", sys.argv[3]]))
"""
    told = run(script, 120, tmp_path / "home", network)
    assert told.startswith("error: encrypting the key in")
    assert "needs 256 MiB of memory" in told
    assert "hint: give the container or the shell more" in told
    assert list((tmp_path / "home/keystore").iterdir()) == []
    assert "account  0x" in run(script, 600, tmp_path / "home", network)


def test_any_command_without_memory_says_so(tmp_path: Path) -> None:
    script = """
from sonar.telling.terminal import new_app, run_app
app = new_app("A test.")
@app.command()
def work() -> None:
    bytearray(1 << 30)
limit(sys.argv[1])
sys.exit(run_app(app, "mine", []))
"""
    told = run(script, 50)
    assert told.startswith("error: there is not enough memory for this command\n  hint: give")


# ---- containers


def group(root: Path, *parts: str, **files: str) -> None:
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def left(root: Path, own: str) -> int | None:
    (root / "own").write_text(own)
    return memory._left_of_container(root, root / "own")


@pytest.fixture(autouse=True)
def without_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    field = memory._field
    monkeypatch.setattr(
        memory, "_field", lambda path, *args: 0 if path == Path("/proc/meminfo") else field(path, *args)
    )


def test_a_limit_of_version_2_counts_what_cannot_be_dropped(tmp_path: Path) -> None:
    group(tmp_path, memory__max=f"{200 * MIB}\n", memory__stat=f"anon {50 * MIB}\nfile {140 * MIB}\n")
    assert left(tmp_path, "0::/\n") == 150 * MIB
    group(tmp_path, "a", "b", memory__max="max\n")
    assert left(tmp_path, "0::/a/b\n") == 150 * MIB  # the narrowest above counts
    group(tmp_path, "a", memory__max=f"{90 * MIB}\n", memory__stat=f"anon {20 * MIB}\n")
    assert left(tmp_path, "0::/a/b\n") == 70 * MIB
    assert left(tmp_path, "0::/not/seen/from/here\n") == 150 * MIB


def test_a_limit_of_version_1_counts_too(tmp_path: Path) -> None:
    files = {"memory__limit_in_bytes": f"{200 * MIB}\n", "memory__stat": f"rss 1\ntotal_rss {40 * MIB}\n"}
    group(tmp_path, "memory", **files)
    own = "5:devices:/docker/ab\n4:memory:/docker/ab\n0::/docker/ab\n"
    assert left(tmp_path, own) == 160 * MIB
    group(tmp_path, "memory", memory__limit_in_bytes="9223372036854771712\n")
    assert left(tmp_path, own) is None


@pytest.mark.parametrize("own", ["", "\n", "0\n", "0::/../..\n", "\0:::\n", "4:memory\n", ":" * 50])
def test_what_is_no_list_of_groups_is_no_limit(own: str, tmp_path: Path) -> None:
    assert left(tmp_path, own) is None
    assert memory._left_of_container(tmp_path, tmp_path / "none") is None


def test_too_little_in_a_container_is_told_before_the_kernel_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keystore.save(tmp_path, Account.create(), PASSWORD)
    monkeypatch.setattr(memory, "free_bytes", lambda: 255 * MIB)
    with pytest.raises(MemoryShort, match="needs 256 MiB of memory, and this process may take 255 MiB more"):
        keystore.load(path, PASSWORD)
