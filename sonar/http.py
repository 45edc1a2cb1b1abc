"""HTTP to services: which addresses, which proxies, and which certificate authorities."""

from __future__ import annotations

import email.utils
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar.errors import ConfigError
from sonar.protocol.url import hide_secrets, is_local

if TYPE_CHECKING:
    import httpx

CA_FILE, CA_FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
"""The environment variables of OpenSSL, which other programs obey too."""
_PROXIES = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"


def checked_url(text: str, example: str = "http://127.0.0.1:8545") -> str:
    """Return `text` if it is a usable HTTP address. Raises ValueError, which shows none of its secrets."""
    if problem := _fault(text):
        raise ValueError(f"not an address like {example}: {problem}")
    return text


def _fault(text: str) -> str:
    """Return what is wrong with an address, or nothing."""
    import httpx

    if any(char.isspace() or not char.isprintable() for char in text):
        return "it has a space or another character that cannot be seen"
    if not text.lower().startswith(("http://", "https://")):
        return "it does not begin with http:// or https://"
    try:
        url = httpx.URL(text)
        url.raw_host.decode().encode("idna")  # as the system does to look the host up
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError):
        return "its host or its port cannot be read"
    if not host:
        return "it names no host"
    return "" if port is None or 0 < port < 1 << 16 else "its port is not between 1 and 65535"


def client(url: httpx.URL, **options: Any) -> httpx.Client:
    """Return an HTTP client for one service.

    It trusts the authorities of SSL_CERT_FILE and SSL_CERT_DIR if the environment names some, else those that
    browsers do. Hosts that are not local are reached by the environment's proxy, as NO_PROXY allows. Raises
    ConfigError for environment variables that cannot be used.
    """
    import httpx

    _keep_out_of_logs()
    # Redirects are not followed, so what begins without TLS never needs authorities.
    verify = _authorities() if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.Client(verify=verify, trust_env=not is_local(url.host), **options)
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise ConfigError(
            _PROXIES,
            f"cannot be used: {hide_secrets(str(error))}",
            hint="correct it in the environment; a proxy is given like http://proxy.example:3128",
        ) from error


def _authorities() -> ssl.SSLContext:
    file, folders = os.environ.get(CA_FILE, ""), os.environ.get(CA_FOLDER, "")
    if not file and not folders:
        import httpx

        return httpx.create_ssl_context(trust_env=False)
    context = ssl.create_default_context()  # which reads both, and passes over what it cannot read
    if file:
        try:
            context.load_verify_locations(file)
        except (OSError, ssl.SSLError) as error:
            told = (
                error.strerror if type(error) is not ssl.SSLError and error.strerror else "not in PEM format"
            )
            raise ConfigError(
                CA_FILE,
                f"{file} cannot be used: {told}",
                hint="name a readable file of certificates in PEM format, or unset it",
            ) from error
    if folders and not any(Path(one).is_dir() for one in folders.split(os.pathsep)):
        raise ConfigError(
            CA_FOLDER, f"{folders} is not a folder", hint="name one that `openssl rehash` made, or unset it"
        )
    return context


def tls_fault(error: BaseException) -> str:
    """Return what is wrong with the server's TLS; nothing if TLS is not at fault."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return (
                f"it does not speak TLS as we do ({(cause.reason or 'SSL error').replace('_', ' ').lower()})"
            )
    return ""


TLS_HINT = (
    f"for a private authority, name its certificate by {CA_FILE}; is the host's name right, and does it "
    "take https:// at this port?"
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Return what a Retry-After header says, in seconds from `now_s` (Unix time); None if it says nothing.

    It is a number of seconds, or a date (RFC 9110, section 10.2.3).
    """
    if not value:
        return None
    try:
        return max(0.0, float(value)) if float(value) < float("inf") else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None


class _Hide(logging.Filter):
    """httpx logs each address that it requests, including a key in its path."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                hide_secrets(str(one)) if type(one).__name__ == "URL" else one for one in record.args
            )
        return True


_HIDE = _Hide()


def _keep_out_of_logs() -> None:
    logging.getLogger("httpx").addFilter(_HIDE)  # the same one is taken once only
