"""A home's private files: whole or not there, for nobody else to read, and gone when they are over."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mine.work.publisher import Drafts
from sonar.errors import JournalBlocked, JournalError
from sonar.home.folder import PrivateFolder
from sonar.protocol.ids import PART_BYTES, Cid, links_of


@pytest.fixture
def folder(tmp_path: Path) -> PrivateFolder:
    return PrivateFolder(tmp_path / "drafts")


def test_nobody_else_may_read_them(tmp_path: Path, folder: PrivateFolder) -> None:
    before = os.umask(0)
    try:
        folder.put("one", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "drafts").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "drafts" / "one").stat().st_mode) == 0o600


def test_what_is_put_is_got_until_it_is_no_longer_kept(folder: PrivateFolder) -> None:
    assert folder.get("one") is None
    folder.keep_only(["one"])  # there is no folder yet
    for name in ("one", "two"):
        folder.put(name, name.encode())
    folder.put("one", b"again")
    folder.keep_only(["one", "three"])
    assert (folder.get("one"), folder.get("two")) == (b"again", None)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalBlocked, match="cannot be written to"):
        PrivateFolder(tmp_path / "file").put("one", b"1")


def test_a_draft_is_the_bytes_that_its_cid_names_or_an_error(tmp_path: Path, folder: PrivateFolder) -> None:
    drafts, blob = Drafts(folder), bytes(PART_BYTES) + b"more"
    links = drafts.put_blob(blob)
    assert links == links_of(blob)
    assert b"".join(map(drafts.get, links)) == blob
    assert drafts.put_manifest(b"\xa0") == Cid.of_manifest(b"\xa0")
    (tmp_path / "drafts" / str(links[1])).write_bytes(b"m\0re")
    with pytest.raises(JournalError, match="is damaged"):
        drafts.get(links[1])
    drafts.keep_only(links[:1])
    with pytest.raises(JournalError, match="is lost") as caught:
        drafts.get(links[1])
    assert "returns the stake" in caught.value.hint


WRITER = """
import sys
from pathlib import Path
from mine.work.publisher import Drafts
from sonar.home.folder import PrivateFolder
drafts = Drafts(PrivateFolder(Path(sys.argv[1])))
for number in range(10**6):
    (cid,) = drafts.put_blob(number.to_bytes(4, "big") * 50_000)
    print(cid, flush=True)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.003, 0.011, 0.02])
def test_a_kill_leaves_whole_files_and_what_the_next_start_removes(tmp_path: Path, after_s: float) -> None:
    path = tmp_path / "drafts"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [Cid.parse(writer.stdout.readline().decode().strip()) for _ in range(5)]
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        told += [Cid.parse(line.decode().strip()) for line in writer.stdout if line.endswith(b"\n")]
    drafts = Drafts(PrivateFolder(path))
    for cid in told:
        drafts.get(cid)
    named = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    for name in named:
        drafts.get(Cid.parse(name))
    drafts.keep_only(told[:2])
    assert {file.name for file in path.iterdir()} == {str(cid) for cid in told[:2]}
