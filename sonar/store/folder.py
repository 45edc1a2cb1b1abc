"""A store in a folder, which any number of processes on this machine share.

    blocks/ab/abcd…    the bytes whose sha2-256 digest is abcd… (hex)
    pins/bafk…         an empty file per pinned CID
    tmp/               files being written

A block appears under its name whole or not at all: it is written to tmp/, synced, and renamed. Since the name
is the digest, two writers of one block write the same bytes, and nothing has to be locked. Reads verify the
digest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch, StoreUnavailable
from sonar.ports import MAX_BLOB_BYTES
from sonar.protocol.ids import Cid, Codec, Digest, digest_of


class FolderStore:
    """Keeps blobs as files below `path`, which is made if it is not there. Raises StoreUnavailable."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._blocks, self._pins, self._tmp = (self.path / name for name in ("blocks", "pins", "tmp"))
        with self._disk("create"):
            for folder in (self._blocks, self._pins, self._tmp):
                folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data`; on return it is on disk. Raises BlobTooLarge, StoreUnavailable."""
        if len(data) > MAX_BLOB_BYTES:
            raise BlobTooLarge("blob", len(data), MAX_BLOB_BYTES)
        cid = Cid(codec, digest_of(data))
        block = self._block(cid.digest)
        with self._disk("write to"):
            if not _holds(block, data):
                self._write(block, data)
        return cid

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`. Raises BlobNotFound, BlobTooLarge, DigestMismatch, StoreUnavailable."""
        with self._disk("read from"):
            try:
                with self._block(cid.digest).open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size > max_bytes:
                        raise BlobTooLarge(str(cid), size, max_bytes)
                    data = file.read(size)
            except FileNotFoundError:
                raise BlobNotFound(str(cid)) from None
        if digest_of(data) != cid.digest:
            raise DigestMismatch(cid.digest.hex(), digest_of(data).hex())
        return data

    def pin(self, cid: Cid) -> None:
        """Pin `cid`. Raises BlobNotFound, StoreUnavailable."""
        if not self.has(cid):
            raise BlobNotFound(str(cid))
        with self._disk("write to"):
            (self._pins / str(cid)).touch()

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`. Raises StoreUnavailable."""
        with self._disk("write to"):
            (self._pins / str(cid)).unlink(missing_ok=True)

    def has(self, cid: Cid) -> bool:
        """Tell whether `cid` is here. Raises StoreUnavailable."""
        with self._disk("read from"):
            return self._block(cid.digest).is_file()

    def _block(self, digest: Digest) -> Path:
        name = digest.hex()
        return self._blocks / name[:2] / name

    def _write(self, block: Path, data: bytes) -> None:
        block.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._tmp)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)  # mkstemp's 0600 would shut out the other users of the folder
                os.fsync(file.fileno())
            Path(temporary).replace(block)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_folder(block.parent)
        _sync_folder(self._blocks)

    @contextmanager
    def _disk(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"cannot {doing} the store at {self.path}: {error.strerror or error}",
                hint="check free space, and that this user may write there",
            ) from error


def _holds(block: Path, data: bytes) -> bool:
    """Tell whether the block is there and intact; a disk may have damaged it."""
    try:
        return block.stat().st_size == len(data) and block.read_bytes() == data
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
