"""One suite for every store. A new backend is a subclass of StoreContract with a `store` fixture."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch, StoreUnavailable
from sonar.ports import MAX_BLOB_BYTES, Store
from sonar.protocol.ids import Cid
from sonar.store.choose import LazyStore
from sonar.store.folder import FolderStore
from sonar.store.kubo.daemon import KuboNode
from sonar.store.kubo.store import KuboStore
from sonar.store.memory import MemoryStore
from tests.kubo_kit import needs_kubo, swarm_in

MISSING = Cid.of_blob(b"never stored")


class StoreContract:
    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 1000], ids=["empty", "one", "256k"])
    def test_what_is_put_can_be_got(self, store: Store, data: bytes) -> None:
        cid = store.put(data)
        assert cid == Cid.of_blob(data)
        assert store.get(cid, max_bytes=len(data)) == data

    def test_codec_is_part_of_the_name(self, store: Store) -> None:
        assert store.put(b"\xa0", codec="dag-cbor") == Cid.of_manifest(b"\xa0")
        assert store.get(Cid.of_manifest(b"\xa0"), 1) == b"\xa0"

    def test_the_same_bytes_are_one_block_under_both_codecs(self, store: Store) -> None:
        store.put(b"\xa0")
        assert store.get(Cid.of_manifest(b"\xa0"), 1) == b"\xa0"

    def test_put_is_idempotent(self, store: Store) -> None:
        assert store.put(b"x") == store.put(b"x")
        assert store.get(Cid.of_blob(b"x"), 1) == b"x"

    def test_missing(self, store: Store) -> None:
        assert not store.has(MISSING)
        with pytest.raises(BlobNotFound, match=str(MISSING)) as caught:
            store.get(MISSING, 10)
        assert caught.value.cid == str(MISSING)

    def test_has(self, store: Store) -> None:
        assert store.has(store.put(b"x"))

    def test_get_refuses_more_than_the_limit(self, store: Store) -> None:
        cid = store.put(b"12345")
        with pytest.raises(BlobTooLarge, match="the limit is 4"):
            store.get(cid, max_bytes=4)
        assert store.get(cid, max_bytes=5) == b"12345"

    def test_put_refuses_more_than_any_store_takes(self, store: Store) -> None:
        with pytest.raises(BlobTooLarge):
            store.put(bytes(MAX_BLOB_BYTES + 1))

    def test_pins(self, store: Store) -> None:
        cid = store.put(b"x")
        store.pin(cid)
        store.pin(cid)
        assert store.get(cid, 1) == b"x"
        store.unpin(cid)
        store.unpin(cid)
        store.unpin(MISSING)

    def test_only_what_is_there_can_be_pinned(self, store: Store) -> None:
        with pytest.raises(BlobNotFound):
            store.pin(MISSING)

    def test_later_changes_of_the_callers_buffer_do_not_matter(self, store: Store) -> None:
        buffer = bytearray(b"before")
        cid = store.put(buffer)  # type: ignore[arg-type]
        buffer[:] = b"after!"
        assert store.get(cid, 6) == b"before"


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestLazy(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        opened = MemoryStore()
        return LazyStore(lambda: opened)

    def test_it_is_opened_anew_until_that_works(self) -> None:
        faults, opened = [StoreUnavailable("not up yet")], MemoryStore()

        def open_it() -> Store:
            if faults:
                raise faults.pop()
            return opened

        store = LazyStore(open_it)
        with pytest.raises(StoreUnavailable):
            store.has(MISSING)
        assert not store.has(MISSING)


class TestFolder(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FolderStore(tmp_path / "store")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    with swarm_in(tmp_path_factory.mktemp("kubo")) as nodes:
        yield nodes.start("node")


@needs_kubo
class TestKubo(StoreContract):
    @pytest.fixture
    def store(self, node: KuboNode) -> Store:
        return KuboStore(node.api_url, get_timeout_s=0.5)

    def test_spoilt_bytes_are_noticed_and_mended_by_the_next_put(self, node: KuboNode, store: Store) -> None:
        cid = store.put(b"right here")
        (path,) = (
            path for path in node.repo.path.glob("blocks/*/*.data") if path.read_bytes() == b"right here"
        )
        path.chmod(0o600)
        path.write_bytes(b"wrong")
        with pytest.raises(DigestMismatch):
            store.get(cid, 10)
        store.put(b"right here")
        assert store.get(cid, 10) == b"right here"


# What only files can suffer.


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def block_of(store: FolderStore, cid: Cid) -> Path:
    name = cid.digest.hex()
    return store.path / "blocks" / name[:2] / name


def test_another_process_sees_it_and_a_reopened_store_too(folder: FolderStore) -> None:
    cid = folder.put(b"shared")
    folder.pin(cid)
    again = FolderStore(str(folder.path))
    assert again.get(cid, 6) == b"shared"
    assert [pin.name for pin in (folder.path / "pins").iterdir()] == [str(cid)]
    again.unpin(cid)
    assert not list((folder.path / "pins").iterdir())


def test_spoilt_bytes_are_noticed_and_mended_by_the_next_put(folder: FolderStore) -> None:
    cid = folder.put(b"right")
    block_of(folder, cid).write_bytes(b"wrong")
    with pytest.raises(DigestMismatch) as caught:
        folder.get(cid, 5)
    assert caught.value.expected == cid.digest.hex()
    folder.put(b"right")
    assert folder.get(cid, 5) == b"right"


def test_a_swollen_file_is_not_read(folder: FolderStore) -> None:
    cid = folder.put(b"small")
    with block_of(folder, cid).open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would need a terabyte
    with pytest.raises(BlobTooLarge, match=str(1 << 40)):
        folder.get(cid, 5)


def test_nothing_is_left_over(folder: FolderStore) -> None:
    folder.put(b"x")
    assert not list((folder.path / "tmp").iterdir())
    assert block_of(folder, Cid.of_blob(b"x")).stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_nothing_behind(folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left on device") as caught:
        folder.put(b"x")
    assert str(folder.path) in str(caught.value)
    assert caught.value.hint
    monkeypatch.undo()
    assert not folder.has(Cid.of_blob(b"x"))
    assert not list((folder.path / "tmp").iterdir())


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        FolderStore(tmp_path / "file" / "store")


def test_a_folder_in_the_place_of_a_block(folder: FolderStore) -> None:
    block_of(folder, MISSING).mkdir(parents=True)
    assert not folder.has(MISSING)
    with pytest.raises(StoreUnavailable):
        folder.get(MISSING, 100)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_no_permission(folder: FolderStore) -> None:
    cid = folder.put(b"x")
    block_of(folder, cid).chmod(0)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        folder.get(cid, 1)


def _put_many(path: Path, rounds: int) -> None:
    store = FolderStore(path)
    for index in range(rounds):
        data = f"blob {index}".encode() * 100
        assert store.get(store.put(data), len(data)) == data


def test_many_writers_of_the_same_blocks(folder: FolderStore) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_put_many, args=(folder.path, 30)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    _put_many(folder.path, 30)
    assert not list((folder.path / "tmp").iterdir())
