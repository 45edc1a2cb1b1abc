"""A chain's state on the disk: kept while the chain runs, so that a kill costs it a few seconds.

A dump takes Anvil 2 ms with a dozen blocks and 40 ms with 4,500 (measured), in which it answers nobody. So
the pause between two is a multiple of what the last one took. `anvil --state-interval` does not adapt, and a
kill while it writes its file loses both the old state and the new one.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from zlib import error as BadDeflate

from sonar.chain.rpc import Rpc
from sonar.errors import RpcError

STATE_FILE = "anvil-state.json"
LEAST_PAUSE_S, PAUSE_PER_WORK = 0.5, 20
"""Between two dumps: half a second, and twenty times what the last one took."""
_TRIES = 3


class StateFile:
    """The state of the chain behind `rpc`, in a folder of its own network."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / STATE_FILE
        self._monotonic = monotonic
        self._kept_block = -1
        self._due_s = 0.0

    def set_aside_damaged(self) -> str:
        """Rename a truncated file, since Anvil stops at it; return a note about that, or ""."""
        if not self.path.exists() or _is_whole(self.path):
            return ""
        aside = self.path.with_name(f"{STATE_FILE}.damaged-{int(time.time())}")
        self.path.rename(aside)
        return f"Anvil's state was cut off by a crash; the chain starts anew ({aside} kept)"

    def keep(self, rpc: Rpc, newest: int) -> None:
        """Save the state if block `newest` is new and a dump is due. Raises as `save`."""
        if newest != self._kept_block and self._monotonic() >= self._due_s:
            self.save(rpc)

    def save(self, rpc: Rpc) -> None:
        """Save the chain's state, or leave the last one. Raises ChainUnavailable, RpcError, OSError."""
        for _ in range(_TRIES):
            before, began_s = _newest(rpc), self._monotonic()
            state = rpc.data("anvil_dumpState")
            took_s = self._monotonic() - began_s
            self._due_s = began_s + max(LEAST_PAUSE_S, PAUSE_PER_WORK * took_s)
            if _newest(rpc) == before:  # else its accounts may be of another block than its record
                self._write(state)
                self._kept_block = before
                break

    def _write(self, state: bytes) -> None:
        new = self.path.with_name(f"{STATE_FILE}.new")
        try:
            with gzip.open(io.BytesIO(state)) as source, new.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
        except (EOFError, gzip.BadGzipFile, BadDeflate) as error:
            raise RpcError(f"anvil_dumpState: the node's answer is not a state: {error}") from error
        if not _is_whole(new):
            raise RpcError("anvil_dumpState: the node's answer is not a whole state")
        new.replace(self.path)


def _newest(rpc: Rpc) -> int:
    return rpc.quantity("eth_blockNumber")


def _is_whole(path: Path) -> bool:
    """Tell whether a state was written to its end. It may be large, and has no braces in its strings."""
    opened = closed = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            opened, closed = opened + part.count(b"{"), closed + part.count(b"}")
    return opened == closed > 0
