"""A clone has the same bytes on every machine, also where git makes line ends those of Windows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages_kit import ROOT

HAS_HISTORY = (ROOT / ".git").exists() and shutil.which("git") is not None


@pytest.mark.skipif(not HAS_HISTORY, reason="this copy has no git history")
@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.eol=crlf"])
def test_a_clone_has_the_line_ends_of_the_repository(setting: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    command = ["git", "-c", setting, "-c", "safe.directory=*", "clone", "--quiet", "--shared"]
    subprocess.run([*command, str(ROOT), str(clone)], check=True)
    listed = subprocess.run(["git", "-C", str(clone), "ls-files", "-z"], capture_output=True, check=True)
    paths = [clone / name for name in listed.stdout.decode().split("\0") if name]
    assert {"docker/bin/notebook-server", "Makefile", "scripts/lock.sh"} <= {
        path.relative_to(clone).as_posix() for path in paths
    }
    assert [path for path in paths if path.is_file() and b"\r\n" in path.read_bytes()] == []
