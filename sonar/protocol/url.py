"""Addresses of services in messages: whom they name, and nothing that is secret in them."""

from __future__ import annotations

import re

MAX_SHOWN = 200
_AN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def without_secrets(url: str) -> str:
    """Return an address for messages: scheme, host and port, without name, password, path and query.

    Providers of nodes put their customers' keys into the path. Where it cannot be told whether something is
    the host or part of a password, the host is left out too.
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    place = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    hidden = "/…" if rest[len(place) :].strip("/") else ""
    if "@" in rest[len(place) :]:
        return f"{scheme[:MAX_SHOWN]}{mark}…"
    return f"{scheme}{mark}{place.rpartition('@')[2]}"[:MAX_SHOWN] + hidden


def hide_secrets(text: str) -> str:
    """Return `text` with every address in it `without_secrets`."""
    return _AN_ADDRESS.sub(lambda found: without_secrets(found[0]), text)
