"""Anvil as the local chain: found, started, watched and ended.

The heartbeat is our own: with `--block-time`, Anvil keeps the states of 1,500 blocks, whatever
`--prune-history` says, and each of them holds the hashes of all blocks before it: 680 MB after 40 idle
minutes (measured), and more each minute.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sonar.chain.rpc import Rpc
from sonar.errors import ChainUnavailable, ClientMissing, ConfigError, PortInUse, SonarError
from sonar.home.files import expanded
from sonar.localchain.statefile import STATE_FILE, StateFile
from sonar.processes import die_with_parent
from sonar.processes.patience import Movement
from sonar.protocol.ids import Address
from sonar.telling.waiting import interrupts_held

CHAIN_ID = 31337
LOOPBACK, ANY_ADDRESS = "127.0.0.1", "0.0.0.0"  # noqa: S104 - the name of what must be asked for
STILL_MAX_S = 20.0
"""How long Anvil may stand still before it answers; while it works, it may take any time."""
STOP_WITHIN_S = 10.0
DUMP_WITHIN_S, LAST_DUMP_WITHIN_S = 5.0, 60.0
"""A dump that takes longer is tried again; the last one is not."""
STATES_KEPT = 64
"""How many blocks back a call can be asked for: two rounds of ten mines, and more than any program asks."""
BEAT_S, LONGEST_BEAT_S = 1.0, 30.0
"""Between two blocks without transactions: one second, and a tenth of the time since the last transaction."""
_ENDED = (
    "-9: something killed it, perhaps because memory ran out. If it cannot load its state, move "
    f"{STATE_FILE} out of the chain's home: the chain then starts anew"
)
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find() -> Path | None:
    """Return Anvil's native binary, or None: SONAR_ANVIL, PATH, or the checkout's npm packages."""
    if named := os.environ.get("SONAR_ANVIL"):
        program = expanded(named, "SONAR_ANVIL")
        if not os.access(program, os.X_OK):
            raise ConfigError("SONAR_ANVIL", f"{program} is not a program", hint="name the program itself")
        return program
    # npm's wrapper script hides the binary's signals and exit code, so that one is looked for first.
    package = f"anvil-{sys.platform}-{_MACHINES.get(platform.machine().lower(), 'unknown')}"
    for folder in Path(__file__).resolve().parents:
        native = folder / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
        if os.access(native, os.X_OK):
            return native
    found = shutil.which("anvil")
    return Path(found) if found else None


class Anvil:
    """A running Anvil. With `state_dir`, its state is kept there while it runs, and used again.

    `notes` is what to tell people; more may come while it runs. `host` is the address that it listens on;
    `url` is for this machine. Raises ClientMissing, PortInUse, ConfigError (host), and ChainUnavailable when
    it does not come up.
    """

    def __init__(
        self, *, port: int, state_dir: Path | None, fund: Mapping[Address, int], host: str = LOOPBACK
    ) -> None:
        binary = find()
        if binary is None:
            raise ClientMissing(
                "Anvil is not installed",
                hint="`npm install --no-save` in the checkout brings it; or use --client eth-tester",
            )
        self.notes: list[str] = []
        port = _free_port(host, port)
        self.url = f"http://{LOOPBACK if host == ANY_ADDRESS else host}:{port}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        command = [str(binary), "--host", host, "--port", str(port), "--chain-id", str(CHAIN_ID)]
        # Blocks at once for transactions; none of the well-known accounts.
        command += ["--accounts", "0", "--prune-history", str(STATES_KEPT), "--silent", "--no-cors"]
        self._state = None if state_dir is None else StateFile(state_dir)
        if self._state is not None:
            self._tell(self._state.set_aside_damaged())
            if self._state.path.exists():
                command += ["--load-state", str(self._state.path)]
        with interrupts_held():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C reaches us, and we end it in order
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid
        self._stopping = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        try:
            self._wait_until_up()
            self._fund(fund)
            self._heart.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Save Anvil's state and end it; kill it if it does not end."""
        self._stopping.set()
        if self._heart.is_alive():
            self._heart.join()
        if self._process.poll() is None:
            self._keep_last_state()
            self._process.send_signal(signal.SIGTERM)
            movement = Movement(self.pid)
            while self._process.poll() is None and movement.still_s() < STOP_WITHIN_S:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.1)
            if self._process.poll() is None:
                self._process.kill()
        self._process.wait()
        self._errors.close()

    def _beat(self) -> None:
        """Mine an empty block after a while without one: programs compare deadlines with chain time only.

        The longer nobody sends a transaction, the longer that while: every block stays in memory.
        """
        rpc = Rpc(self.url, attempts=1, timeout_s=DUMP_WITHIN_S)
        last_transaction_s = last_block_s = time.monotonic()
        seen = 0
        while not self._stopping.wait(BEAT_S / 10):
            now_s = time.monotonic()
            with suppress(SonarError):  # whoever waits for the chain tells that it does not answer
                if (newest := rpc.quantity("eth_blockNumber")) != seen:
                    seen, last_transaction_s, last_block_s = newest, now_s, now_s
                pause_s = min(max(BEAT_S, (now_s - last_transaction_s) / 10), LONGEST_BEAT_S)
                if now_s - last_block_s >= pause_s:
                    rpc.call("evm_mine")
                    seen, last_block_s = seen + 1, now_s
                self._keep_state(rpc, seen)
        rpc.close()

    def _keep_state(self, rpc: Rpc, newest: int) -> None:
        try:
            if self._state is not None:
                self._state.keep(rpc, newest)
        except OSError as error:
            self._tell(f"the chain's state cannot be saved; is the disk full? {error}")

    def _keep_last_state(self) -> None:
        """Take no more transactions, since they would be lost, and write the state down."""
        if self._state is None:
            return
        rpc = Rpc(self.url, attempts=1, timeout_s=LAST_DUMP_WITHIN_S)
        try:
            rpc.call("evm_setIntervalMining", 0)
            self._state.save(rpc)
        except (SonarError, OSError):
            pass  # it hangs or ends already, or the disk is full, which was told
        finally:
            rpc.close()

    def _tell(self, note: str) -> None:
        if note and note not in self.notes:
            self.notes.append(note)

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def _wait_until_up(self) -> None:
        movement = Movement(self.pid)
        rpc = Rpc(self.url, attempts=1, timeout_s=2)
        try:
            while True:
                if self._process.poll() is not None:
                    self._errors.seek(0)
                    said = self._errors.read()[-500:].decode(errors="replace").strip()
                    raise ChainUnavailable(
                        f"Anvil ended with {self._process.returncode}: {said}".rstrip(": "), hint=_ENDED
                    )
                try:
                    rpc.call("eth_chainId")
                    return
                except ChainUnavailable:
                    if movement.still_s() > STILL_MAX_S:
                        raise
                    time.sleep(0.05)
        finally:
            rpc.close()

    def _fund(self, fund: Mapping[Address, int]) -> None:
        rpc = Rpc(self.url)
        try:
            for account, wei in fund.items():
                rpc.call("anvil_setBalance", account, hex(wei))
        finally:
            rpc.close()


def _free_port(host: str, port: int) -> int:
    """Return `port` if it is free at `host`, or any free one for 0. Raises PortInUse, ConfigError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                raise ConfigError("host", f"{host} is not an address of this machine") from error
            raise PortInUse(port) from error
        return int(probe.getsockname()[1])
