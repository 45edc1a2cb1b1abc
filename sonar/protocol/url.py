"""Addresses of services: which part messages show, and which hosts are near."""

from __future__ import annotations

import ipaddress
import re

MAX_SHOWN = 200
_LOCAL_DOMAINS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_AN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def without_secrets(url: str) -> str:
    """Return an address for messages: scheme, host and port, without name, password, path and query.

    Providers of nodes put their customers' keys into the path. If something may be the host or part of a
    password, the host is left out too.
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


def is_local(host: str) -> bool:
    """Tell whether a host is this machine or in its local network, which no proxy serves.

    Private addresses are, and names without a dot, such as containers', and names under domains that are
    never public.
    """
    try:
        return not ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_LOCAL_DOMAINS)
