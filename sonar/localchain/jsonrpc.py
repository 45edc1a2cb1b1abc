"""A small JSON-RPC 2.0 server on 127.0.0.1. What arrives is hostile until checked."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic_core import from_json

from sonar.errors import PortInUse

MAX_BODY_BYTES = 1_000_000
MAX_BATCH = 100
Methods = Mapping[str, Callable[[list[Any]], Any]]


class JsonRpcError(Exception):
    """An error to answer with."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


def answer(body: bytes, methods: Methods) -> bytes:
    """Return the answer to a request or a batch of them. Never raises on what the body holds."""
    if len(body) > MAX_BODY_BYTES:
        return _dump(_failure(None, JsonRpcError(-32600, f"more than {MAX_BODY_BYTES} bytes")))
    try:
        # Not json.loads: deep nesting ends the process, since py-evm raises Python's recursion limit.
        request = from_json(body)
    except ValueError:
        return _dump(_failure(None, JsonRpcError(-32700, "the request is not JSON")))
    if not isinstance(request, list):
        return _dump(_one(request, methods))
    if not 1 <= len(request) <= MAX_BATCH:
        return _dump(_failure(None, JsonRpcError(-32600, f"a batch has 1 to {MAX_BATCH} requests")))
    return _dump([_one(part, methods) for part in request])


def _one(request: Any, methods: Methods) -> dict[str, Any]:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failure(None, JsonRpcError(-32600, "not a JSON-RPC request"))
    number, params = request.get("id"), request.get("params", [])
    try:
        if (method := methods.get(request["method"])) is None:
            raise JsonRpcError(-32601, f"the method {request['method'][:80]} does not exist")
        if not isinstance(params, list):
            raise JsonRpcError(-32602, "params is not a list")
        return {"jsonrpc": "2.0", "id": number, "result": method(params)}
    except JsonRpcError as error:
        return _failure(number, error)


def _failure(number: Any, error: JsonRpcError) -> dict[str, Any]:
    fields: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        fields["data"] = error.data
    return {"jsonrpc": "2.0", "id": number, "error": fields}


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Server:
    """Serves `methods` over HTTP on 127.0.0.1 from threads of its own. Raises PortInUse."""

    def __init__(self, methods: Methods, port: int = 0) -> None:
        try:
            self._http = _HttpServer(("127.0.0.1", port), methods)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(port) from error
            raise
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, name="json-rpc", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], methods: Methods) -> None:
        self.methods = methods
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"  # keeps the connection
    timeout = 600  # seconds that a connection may be idle
    wbufsize = -1  # headers and body in one packet:
    disable_nagle_algorithm = True  # together these save 40 ms a request

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return self._reply(411, b"", close=True)
        if int(length) > MAX_BODY_BYTES:
            return self._reply(413, answer(b" " * (MAX_BODY_BYTES + 1), {}), close=True)
        return self._reply(200, answer(self.rfile.read(int(length)), self.server.methods))

    def _reply(self, status: int, body: bytes, *, close: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if close:  # the request's body was not read
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: nobody reads a line per request."""
