"""What answers at the API's address may be anything: each case is told in words, with what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sonar.errors import (
    BlobNotFound,
    BlobTooLarge,
    ConfigError,
    DigestMismatch,
    StoreRefused,
    StoreUnavailable,
    StoreUnusable,
)
from sonar.home.settings import StoreConfig
from sonar.protocol.ids import Cid
from sonar.store.choose import describe_node, open_store
from sonar.store.kubo.rpc import MAX_ANSWER_BYTES, KuboRpc
from sonar.store.kubo.store import KuboStore
from sonar.telling.progress import ListSink, Progress
from sonar.telling.waiting import patiently
from tests.chain_kit import drip, serving
from tests.node_kit import make_authority, node, saying

CID = Cid.of_blob(b"wanted")


class Impostor(ThreadingHTTPServer):
    """Answers each command with what `answers` says: status and body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {"version": (200, b'{"Version": "0.42.0"}')}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def refuse(self, command: str, message: str) -> None:
        self.answers[command] = (500, json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode())


class Handler(BaseHTTPRequestHandler):
    server: Impostor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths.append(self.path)
        command = self.path.partition("?")[0].removeprefix("/api/v0/")
        status, body = self.server.answers.get(command, (404, b"404 page not found"))
        self.send_response(status)
        self.end_headers()
        with suppress(ConnectionError):  # a client that has read enough goes away
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kubo() -> Iterator[Impostor]:
    with Impostor() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_nobody_answers() -> None:
    with pytest.raises(StoreUnavailable, match=r"no Kubo answers at http://127\.0\.0\.1:9: ") as caught:
        KuboStore("http://sonar:secret@127.0.0.1:9").has(CID)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html>", "not a Kubo node"),
        (200, b"[]", "not a Kubo node"),
        (200, b"{}", "not a Kubo node"),
        (200, b'{"Version": "' + b"9" * 5000 + b'.1.0"}', "not a Kubo node"),
        (200, b'{"Version": "0.29.0"}', "version 0.29.0"),
        (200, b'{"Version": "0.4.22"}', r"version 0.4.22"),
        (404, b"", "not an RPC API of Kubo"),
        (403, b"403 - Forbidden", r"refuses us \(403\)"),
        (401, b"", r"refuses us \(401\)"),
        (500, b"not json", "refused version: not json"),
    ],
)
def test_another_program_or_version(kubo: Impostor, status: int, body: bytes, told: str) -> None:
    kubo.answers["version"] = (status, body)
    with pytest.raises(StoreUnavailable, match=told):
        KuboStore(kubo.url).has(CID)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 500])
def test_what_cannot_get_better_is_told_at_once_unless_it_was_better(kubo: Impostor, status: int) -> None:
    def never(seconds: float) -> None:
        raise AssertionError("it waits")

    store = KuboStore(kubo.url)
    told = Progress(ListSink())
    kubo.answers["version"] = (status, b"no")
    with pytest.raises(StoreUnusable):
        patiently(lambda: store.has(CID), told, sleep=never)
    kubo.answers["version"] = (200, b'{"Version": "0.42.0"}')
    kubo.answers["block/stat"] = (status, b"no")  # as a gate may refuse one command
    with pytest.raises(StoreUnusable):
        patiently(lambda: store.has(CID), told, sleep=never)
    kubo.answers["block/stat"] = (200, b'{"Size": 1}')
    assert store.has(CID)
    kubo.answers["block/stat"] = (status, b"no")
    with pytest.raises(StoreUnavailable) as caught:
        store.has(CID)
    assert not isinstance(caught.value, StoreUnusable)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_in_trouble_may_be_well_again(kubo: Impostor, status: int) -> None:
    kubo.answers["version"] = (status, b"")
    with pytest.raises(StoreUnavailable, match=f"is not available \\({status}\\)") as caught:
        KuboStore(kubo.url).has(CID)
    assert not isinstance(caught.value, StoreUnusable)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:5001",
        "ftp://x/s3cret",
        "http://[::1",
        "http://h:99999/s3cret",
        " http://h",
        "http://u:s3cret@",
    ],
)
def test_a_wrong_address_is_a_setting_s_error_at_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONAR_IPFS_API", address)
    for ask in (
        lambda: open_store(StoreConfig(kind="kubo"), tmp_path, Progress(ListSink())),
        lambda: describe_node(StoreConfig(kind="kubo"), tmp_path),
    ):
        with pytest.raises(ConfigError, match=r"SONAR_IPFS_API: .* like http://127\.0\.0\.1:5001") as caught:
            ask()
        assert "s3cret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("rest", ["", "/", "/api/v0", "/api/v0/"])
def test_the_whole_address_is_asked_and_its_secrets_are_not_told(kubo: Impostor, rest: str) -> None:
    kubo.answers["block/stat"] = (200, b'{"Size": 1}')
    assert KuboStore(kubo.url + rest).has(CID)
    store = KuboStore(f"{kubo.url}/s3cret{rest}?key=s3cret".replace("//", "//user:s3cret@", 1))
    with pytest.raises(StoreUnusable) as caught:
        store.has(CID)
    assert kubo.paths[-1].startswith("/s3cret/api/v0/version?")
    assert "key=s3cret" in kubo.paths[-1]
    assert "s3cret" not in str(caught.value) + caught.value.hint + store.rpc.shown


def test_a_private_authority_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, certificate = make_authority(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with node(lambda body: body, saying(body=b'{"Version": "0.42.0"}'), certificate=certificate) as served:
        url = served.url(scheme="https")
        with pytest.raises(StoreUnusable, match="certificate is not trusted") as caught:
            KuboRpc(url).version()
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert KuboRpc(url).version() == "0.42.0"


def test_newer_versions_will_do(kubo: Impostor) -> None:
    kubo.answers |= {"version": (200, b'{"Version": "1.3.0-rc1"}'), "block/stat": (200, b'{"Size": 1}')}
    assert KuboStore(kubo.url).has(CID)


def test_no_disk_space(kubo: Impostor) -> None:
    kubo.refuse("block/put", "write /data/x: no space left on device")
    with pytest.raises(StoreRefused, match="no space left on device") as caught:
        KuboStore(kubo.url).put(b"x")
    assert "disk space" in caught.value.hint


def test_other_bytes_than_asked_for(kubo: Impostor) -> None:
    kubo.answers["block/get"] = (200, b"others")
    with pytest.raises(DigestMismatch):
        KuboStore(kubo.url).get(CID, 6)


def test_an_answer_without_end_is_cut(kubo: Impostor) -> None:
    kubo.answers["block/get"] = (200, bytes(8 << 20))
    with pytest.raises(BlobTooLarge, match="the limit is 6"):
        KuboStore(kubo.url).get(CID, 6)
    kubo.answers["block/stat"] = (200, b"[" * (MAX_ANSWER_BYTES + 100))
    with pytest.raises(StoreUnavailable, match="makes no sense"):
        KuboStore(kubo.url).has(CID)


def test_an_answer_that_drips_ends_in_time() -> None:
    with serving(drip) as url, pytest.raises(StoreUnavailable, match=r"took more than 0\.2 s for version"):
        KuboRpc(url, timeout_s=0.2).call("id")


def test_another_name_for_what_was_put(kubo: Impostor) -> None:
    kubo.answers["block/put"] = (200, json.dumps({"Key": str(Cid.of_blob(b"y")), "Size": 1}).encode())
    with pytest.raises(StoreUnavailable, match="another name"):
        KuboStore(kubo.url).put(b"x")


def test_a_refusal_of_another_kind_is_not_taken_for_a_missing_blob(kubo: Impostor) -> None:
    store = KuboStore(kubo.url)
    for command, attempt in (
        ("block/stat", lambda: store.has(CID)),
        ("block/get", lambda: store.get(CID, 6)),
        ("pin/add", lambda: store.pin(CID)),
        ("pin/rm", lambda: store.unpin(CID)),
    ):
        kubo.refuse(command, "leveldb: closed")
        with pytest.raises(StoreRefused, match="leveldb: closed"):
            attempt()
    kubo.refuse("block/get", "context deadline exceeded")
    with pytest.raises(BlobNotFound):
        store.get(CID, 6)
