"""A store that is opened when it is first used, so that what needs none goes on while it cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from sonar.ports import Store
from sonar.protocol.ids import Cid, Codec


class LazyStore:
    """The store that `opened` returns. While that raises, every method does, and asks again the next time."""

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._open = opened

    @cached_property
    def _opened(self) -> Store:
        return self._open()

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data` and return its CID."""
        return self._opened.put(data, codec)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`."""
        return self._opened.get(cid, max_bytes)

    def pin(self, cid: Cid) -> None:
        """Pin `cid`."""
        self._opened.pin(cid)

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`."""
        self._opened.unpin(cid)

    def has(self, cid: Cid) -> bool:
        """Tell whether `cid` is here."""
        return self._opened.has(cid)
