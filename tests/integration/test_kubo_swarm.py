"""Real Kubo nodes in private swarms: who can read what, who listens where, and what a kill does."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from sonar.errors import BlobNotFound, BlobTooLarge, ConfigError, StoreUnavailable
from sonar.home.keystore import write_private
from sonar.home.settings import StoreConfig
from sonar.protocol.ids import Cid
from sonar.store.choose import describe_node, open_store
from sonar.store.kubo.daemon import KuboNode
from sonar.store.kubo.store import MAX_BLOCK_BYTES, KuboStore
from sonar.store.kubo.swarm import new_swarm_key, read_swarm_key, rotate_swarm_key
from sonar.telling.progress import Problem, Progress
from tests.kubo_kit import Nodes, eventually, needs_kubo, swarm_in, swarm_key

pytestmark = needs_kubo

Three = tuple[Nodes, KuboNode, KuboNode, KuboNode]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three nodes of one swarm: `b` and `c` are told of `a` only."""
    with swarm_in(tmp_path_factory.mktemp("swarm")) as nodes:
        first = nodes.start("a")
        yield nodes, first, nodes.start("b", *first.addresses()), nodes.start("c", *first.addresses())


def test_a_blob_is_read_through_the_swarm_alone(three: Three) -> None:
    _, _, b, c = three
    data = secrets.token_bytes(50_000)
    cid = KuboStore(b.api_url).put(data)
    reader = KuboStore(c.api_url)
    assert not reader.has(cid)
    assert reader.get(cid, len(data)) == data
    assert reader.has(cid)


@pytest.mark.parametrize("number", range(4))
def test_a_new_node_reads_from_the_peer_that_it_started_with(three: Three, number: int) -> None:
    nodes, a, _, _ = three
    new = nodes.start(f"new{number}", *a.addresses())
    data = secrets.token_bytes(1000)
    cid = KuboStore(a.api_url).put(data)
    assert KuboStore(new.api_url).get(cid, len(data)) == data
    new.stop()


def test_a_restarted_node_reads_from_who_was_quicker_to_connect(three: Three) -> None:
    _, a, b, _ = three
    pid = a.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: a.pid != pid and b.peer_id() in a.peers())
    data = secrets.token_bytes(1000)
    cid = KuboStore(b.api_url).put(data)
    assert KuboStore(a.api_url).get(cid, len(data)) == data


def test_two_megabytes_pass_between_nodes_and_more_is_refused(three: Three) -> None:
    _, _, b, c = three
    data = secrets.token_bytes(MAX_BLOCK_BYTES)
    store = KuboStore(b.api_url)
    assert KuboStore(c.api_url).get(store.put(data), len(data)) == data
    with pytest.raises(
        BlobTooLarge, match=f"swarm.*{MAX_BLOCK_BYTES + 1} bytes; the limit is {MAX_BLOCK_BYTES}"
    ):
        store.put(data + b"x")


def test_another_key_shuts_a_node_out(three: Three) -> None:
    nodes, a, _, _ = three
    stranger = nodes.start("stranger", *a.addresses(), key=swarm_key())
    cid = KuboStore(a.api_url).put(secrets.token_bytes(1000))
    with pytest.raises(StoreUnavailable, match="no connection to the peer") as caught:
        stranger.connect(a.addresses()[0])
    assert "swarm key" in caught.value.hint
    assert stranger.peers() == []
    with pytest.raises(BlobNotFound):
        KuboStore(stranger.api_url, get_timeout_s=1).get(cid, 1000)
    stranger.stop()


def test_all_nodes_change_the_swarm_s_key_and_keep_their_blobs(tmp_path: Path) -> None:
    """The worked order of docs/keys.md: one member makes the key, each replaces its own, all start again."""
    data = secrets.token_bytes(20_000)
    key_of = {name: tmp_path / f"{name}.key" for name in "abc"}
    old = new_swarm_key(key_of["a"])
    for name in "bc":
        write_private(key_of[name], key_of["a"].read_bytes())
    with swarm_in(tmp_path) as nodes:
        a = nodes.start("a", key=read_swarm_key(key_of["a"]))
        address = a.addresses()[0]
        b = nodes.start("b", address, key=read_swarm_key(key_of["b"]))
        cid = KuboStore(b.api_url).put(data)
        _, new = rotate_swarm_key(key_of["a"])
        assert KuboStore(a.api_url).get(cid, len(data)) == data  # what runs goes on with the old key
        assert rotate_swarm_key(key_of["b"], read_swarm_key(key_of["a"])) == (old, new)
    with swarm_in(tmp_path) as nodes:
        a = nodes.start("a", key=read_swarm_key(key_of["a"]))
        b = nodes.start("b", *a.addresses(), key=read_swarm_key(key_of["b"]))
        late = nodes.start("c", *a.addresses(), key=read_swarm_key(key_of["c"]))  # it has the old key
        other = KuboStore(a.api_url).put(secrets.token_bytes(100))
        assert KuboStore(a.api_url).get(cid, len(data)) == data
        assert KuboStore(b.api_url).get(other, 100)
        assert late.peers() == []
        with pytest.raises(BlobNotFound):
            KuboStore(late.api_url).get(other, 100)


def test_it_listens_on_this_machine_alone_and_calls_nobody_else(three: Three) -> None:
    for node in three[1:]:
        sockets = psutil.Process(node.pid).net_connections()
        assert {each.laddr.ip for each in sockets} == {"127.0.0.1"}
        assert {each.raddr.ip for each in sockets if each.raddr} <= {"127.0.0.1"}
        assert len([each for each in sockets if each.status == psutil.CONN_LISTEN]) == 2  # API and swarm


def own_address() -> str:
    """Return an address of this machine that others see, or loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.skipif(own_address().startswith("127."), reason="of loopback, Kubo counts no connections")
def test_many_members_behind_one_address_are_let_in(tmp_path: Path) -> None:
    def is_open(connection: socket.socket) -> bool:
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    with swarm_in(tmp_path) as nodes, ExitStack() as held:
        node = nodes.start("a", listen=f"/ip4/{own_address()}/tcp/0")
        port = int(node.addresses()[0].split("/")[4])
        callers = [
            held.enter_context(socket.create_connection((own_address(), port), timeout=0.3))
            for _ in range(12)  # of 16 and more that have not shown the key yet, it lets some wait
        ]
        assert [is_open(one) for one in callers[-3:]] == [True] * 3


def test_the_api_wants_its_password(three: Three) -> None:
    url = three[1].api_url
    bare = "http://" + url.rpartition("@")[2]
    with pytest.raises(StoreUnavailable, match="refuses us"):
        KuboStore(bare).has(Cid.of_blob(b""))


def test_no_secret_of_ours_reaches_the_daemon(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = psutil.Process(three[1].pid).environ()
    assert not [name for name in environment if name.startswith("SONAR_")]
    assert environment["LIBP2P_FORCE_PNET"] == "1"
    assert oct((three[0].folder / "a/ipfs").stat().st_mode)[-3:] == "700"
    for name in ("config", "swarm.key"):
        assert oct((three[0].folder / "a/ipfs" / name).stat().st_mode)[-3:] == "600"


def test_a_killed_daemon_comes_back_with_everything(three: Three) -> None:
    nodes, _, b, c = three
    store = KuboStore(b.api_url)
    data = secrets.token_bytes(5000)
    cid = store.put(data)
    store.pin(cid)
    identity, pid = b.peer_id(), b.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: b.pid != pid and store.has(cid))
    assert store.rpc.call("pin/ls", arg=str(cid))["Keys"][str(cid)]["Type"] == "direct"
    assert b.peer_id() == identity
    problems = [event.error for event in nodes.told["b"].events if isinstance(event, Problem)]
    assert any("ended (-9)" in problem for problem in problems)
    eventually(lambda: b.peers() and KuboStore(c.api_url, get_timeout_s=1).get(cid, 5000) == data)


def test_ipfshttpclient_reads_what_we_stored(three: Three) -> None:
    client = pytest.importorskip("ipfshttpclient", reason="ipfshttpclient is not installed")
    url = three[1].api_url
    user, _, rest = url.removeprefix("http://").partition("@")
    host, _, port = rest.partition(":")
    cid = KuboStore(url).put(b"read by another program")
    with client.Client(f"/ip4/{host}/tcp/{port}", auth=tuple(user.split(":"))) as reader:
        assert reader.cat(str(cid)) == b"read by another program"


def test_what_was_put_under_one_codec_is_pinned_and_unpinned_alone(three: Three) -> None:
    store = KuboStore(three[1].api_url)
    link = Cid.of_blob(b"not there")
    manifest = b"\xa1\x61a\xd8\x2a\x58\x25\x00" + link.to_bytes()  # {"a": link}: pinning must not follow it
    cid = store.put(manifest, "dag-cbor")
    store.pin(cid)
    assert str(cid) in store.rpc.call("pin/ls")["Keys"]
    store.unpin(cid)
    assert str(cid) not in store.rpc.call("pin/ls").get("Keys", {})


def test_a_second_program_uses_the_daemon_that_runs(three: Three, tmp_path: Path) -> None:
    nodes, a, _, _ = three
    (tmp_path / "swarm.key").write_bytes(nodes.key)
    (tmp_path / "swarm.key").chmod(0o600)
    config = StoreConfig(kind="kubo", swarm_key_file=str(tmp_path / "swarm.key"))
    opened = open_store(config, nodes.folder / "a", _silent())
    assert opened.node is not None
    assert opened.node.pid is None  # not ours
    opened.close()
    assert describe_node(config, nodes.folder / "a")["running"]
    assert a.addresses()


def _silent() -> Progress:
    return Progress()


def test_without_the_swarm_key_nothing_starts(tmp_path: Path) -> None:
    config = StoreConfig(kind="kubo", swarm_key_file=str(tmp_path / "swarm.key"))
    with pytest.raises(ConfigError, match=r"no swarm key at .*swarm\.key") as caught:
        open_store(config, tmp_path / "home", _silent())
    assert "whoever runs the network" in caught.value.hint
    assert not (tmp_path / "home").exists()


def test_a_newer_kubos_repository_is_told_with_what_to_do(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as nodes:
        repo = nodes.start("a").repo.path
    (repo / "version").write_text("99\n")
    with swarm_in(tmp_path) as nodes, pytest.raises(StoreUnavailable, match="did not start") as caught:
        nodes.start("a")
    assert "newer Kubo" in caught.value.hint


def test_a_port_in_use_is_told_with_what_to_do(three: Three, tmp_path: Path) -> None:
    taken = three[1].addresses()[0].partition("/p2p/")[0]
    with (
        swarm_in(tmp_path) as nodes,
        pytest.raises(StoreUnavailable, match="the address is in use") as caught,
    ):
        nodes.start("late", listen=taken)
    assert "SONAR_SWARM_LISTEN" in caught.value.hint


def test_a_node_that_bootstraps_from_elsewhere_is_refused(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = three[2]
    monkeypatch.setenv("SONAR_IPFS_API", b.api_url)
    with pytest.raises(StoreUnavailable, match="not this network's"):
        open_store(StoreConfig(kind="kubo"), Path("/nonexistent"), _silent())
    config = StoreConfig(kind="kubo", bootstrap=tuple(three[1].addresses()))
    store = open_store(config, Path("/nonexistent"), _silent()).store
    assert store.get(store.put(b"x"), 1) == b"x"


_OWNER = """
import sys, time
from pathlib import Path
from sonar.store.kubo.daemon import KuboNode
from sonar.store.kubo.repo import Swarm
with KuboNode(Path(sys.argv[1]), Swarm(sys.stdin.buffer.read())) as node:
    print(node.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_the_daemon_ends_with_its_owner(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path / "ipfs")]
    owner = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    owner.stdin.write(swarm_key())
    owner.stdin.close()
    daemon = psutil.Process(int(owner.stdout.readline()))
    owner.send_signal(number)
    owner.wait(30)
    deadline_s = time.monotonic() + 30
    while daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, "the daemon outlived its owner"
        time.sleep(0.02)
