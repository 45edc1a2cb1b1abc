"""Odd but honest nodes: a real HTTP server in front of a chain, which answers in a way of its own."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HTML = b"<html><h1>Something else</h1></html>"


@dataclass
class Reply:
    """An HTTP answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Honest = Callable[[bytes], bytes]
Manner = Callable[[Any, Honest], Reply]
"""How a node answers: what it was asked, as JSON, and the honest answer to any body."""


class Node(ThreadingHTTPServer):
    """Answers as `manner` does; `asked` holds what it was asked, and the paths."""

    daemon_threads = True

    def __init__(self, honest: Honest, manner: Manner, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Handler)
        self.honest, self.manner = honest, manner
        self.asked: list[Any] = []
        self.paths: list[str] = []
        self.place = f"[{host}]" if ":" in host else host

    def url(self, rest: str = "", scheme: str = "http") -> str:
        return f"{scheme}://{self.place}:{self.server_port}{rest}"

    def batches(self) -> list[int]:
        """How many requests each batch had."""
        return [len(one) for one in self.asked if isinstance(one, list)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not trust us, is no fault of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Node
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        asked = None
        with suppress(ValueError):
            asked = json.loads(content)
        self.server.asked.append(asked)
        self.server.paths.append(self.path)
        reply = self.server.manner(asked, self.server.honest)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


def plainly(asked: Any, honest: Honest) -> Reply:
    """As any node."""
    return Reply(honest(json.dumps(asked).encode()))


def saying(status: int = 200, body: bytes = HTML, **headers: str) -> Manner:
    """The same answer to everything."""
    return lambda asked, honest: Reply(body, status, {k.replace("_", "-"): v for k, v in headers.items()})


def error(number: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    told = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": number, "error": told}


@contextmanager
def node(
    honest: Honest,
    manner: Manner = plainly,
    *,
    host: str = "127.0.0.1",
    certificate: Path | None = None,
) -> Iterator[Node]:
    """A node that runs while the test does; with a `certificate`, on TLS."""
    with Node(honest, manner, host) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_authority(folder: Path) -> tuple[Path, Path]:
    """Return the certificate of a private authority, and key and certificate of 127.0.0.1 that it signed."""
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name("Private Authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    root = (
        builder("Private Authority", ours)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ours.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(ours, hashes.SHA256())
    )
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ours.public_key())
    leaf = (
        builder("127.0.0.1", theirs)
        .add_extension(host, critical=False)
        .add_extension(identifier, critical=False)
        .sign(ours, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = theirs.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    authority, certificate = folder / "authority.pem", folder / "node.pem"
    authority.write_bytes(root.public_bytes(pem))
    certificate.write_bytes(key + leaf.public_bytes(pem))
    return authority, certificate
