"""The containers' health check."""

from __future__ import annotations

import json
import runpy
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sonar.chain.rpc import Rpc

HEALTH: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "docker" / "health.py"))


class Node(BaseHTTPRequestHandler):
    """Answers with what it was shown."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"id": 1, "result": self.headers["authorization"]}).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_node_that_asks_for_a_password_gets_it() -> None:
    """As it does from the programs themselves: a mine at such a node was never well."""
    with HTTPServer(("127.0.0.1", 0), Node) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_port}"
        assert HEALTH["ask"](f"http://{place}/", "eth_chainId") is None
        shown = HEALTH["ask"](f"http://name:p%40ss@{place}/", "eth_chainId")
        server.shutdown()
    assert shown == "Basic bmFtZTpwQHNz"


def test_a_proxy_of_docker_s_does_not_stand_between_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker puts the proxies of its config.json into the environment of every container."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), Node) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        assert HEALTH["ask"](url, "eth_chainId") is None
        assert Rpc(url.replace("127.0.0.1", "localhost")).call("eth_chainId") is None
        # Elsewhere the way may lead through the proxy, which is none here.
        with pytest.raises(OSError, match="refused"):
            HEALTH["ask"]("http://node.example/", "eth_chainId")
        server.shutdown()


def test_what_lasts_is_said_once_in_the_log_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong clock stopped no program, so that a container's log never told of it."""
    keep_log, log = HEALTH["keep_log"], tmp_path / "log"
    monkeypatch.setitem(keep_log.__globals__, "FAILED", tmp_path / "failed")
    monkeypatch.setitem(keep_log.__globals__, "LOG", log)
    for problem in ["short", "", "", *["the clock is wrong"] * 12, "", ""]:
        keep_log(problem)
    assert [line.partition("  ")[2] for line in log.read_text().splitlines()] == [
        "not well: the clock is wrong",
        "well again",
    ]
