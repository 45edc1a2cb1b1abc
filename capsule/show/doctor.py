"""`capsule doctor`: is everything in order? Each check says what to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from capsule.home.witness import Witness
from capsule.wiring import Capsule
from sonar.chain.signatures import signer_of
from sonar.errors import ConfigError, EnvironmentFault, KeyFileError, SonarError, StoreUnavailable
from sonar.http import client
from sonar.manifests.capsule import Identity, SignedAnswer
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Cid
from sonar.telling.checks import Check, Planned, made
from sonar.telling.text import count

OLD_KEY_DAYS = 180
LEAST_DISK_BYTES = 256 << 20
AHEAD_S = 60
_MOST_BYTES = 1 << 16
_PROBE = b"sonar: capsule doctor can write here\n"


def examine(capsule: Capsule, password_file: Path | None) -> Iterator[Check]:
    """Check one thing after the other; each is told as soon as it is known."""
    checks: list[Planned] = [
        ("home", lambda: str(capsule.home.path), ()),
        ("policy", lambda: capsule.policy.in_words(), ()),
        ("keystore", lambda: f"opens for {capsule.unlock(capsule.password(password_file)).address}", ()),
        ("network", lambda: f"{capsule.network.name!r}, chain {capsule.network.chain_id}", ()),
        ("keys", lambda: _keys(capsule), ("keystore", "network")),
        ("ledger", lambda: _ledger(capsule), ()),
        ("disk", lambda: _disk(capsule), ()),
        ("chain", lambda: _chain(capsule), ("network",)),
        ("clock", lambda: _clock(capsule), ("chain",)),
        ("store", lambda: _store(capsule), ("network",)),
        ("listed", lambda: _listed(capsule), ("network", "policy")),
        ("url", lambda: _url(capsule), ("policy", "network")),
    ]
    return made(checks)


def _keys(capsule: Capsule) -> str:
    epochs = capsule.keys.load(capsule.unlock(""))  # opened before
    if not epochs:
        raise KeyFileError("no key is signed for this network", hint="run `capsule init` again")
    newest = epochs[max(epochs)]
    days = (time.time() - newest.made_s) / 86_400
    if days > OLD_KEY_DAYS:
        raise KeyFileError(
            f"the key of epoch {newest.public.epoch} is {days:.0f} days old",
            hint="`capsule rotate` begins a new one: what an old key opens lies in stores for ever",
        )
    return f"of epoch {', '.join(map(str, sorted(epochs)))}; the newest is {count(round(days), 'day')} old"


def _ledger(capsule: Capsule) -> str:
    ledger = capsule.ledger
    remembered = Witness(ledger.name).read()
    if remembered is None:
        state = "after a reboot, or another machine: `capsule run` will tell nothing new of open rounds"
    elif remembered not in ledger.marks:
        state = "older than what was told: `capsule run` will tell nothing new of open rounds"
    else:
        state = "nothing is forgotten since this machine was started"
    return f"{ledger.entries} answers; {state}"


def _disk(capsule: Capsule) -> str:
    free = shutil.disk_usage(capsule.home.path).free
    if free < LEAST_DISK_BYTES:
        raise EnvironmentFault(
            f"{free >> 20} MiB are free in {capsule.home.path}", hint="make room: nothing is told unrecorded"
        )
    return f"{free >> 20} MiB free"


def _chain(capsule: Capsule) -> str:
    market = capsule.market
    return (
        f"block {market.head().number}; contract {market.address} has the right code; what has "
        f"{capsule.network.confirmations} confirmations counts"
    )


def _clock(capsule: Capsule) -> str:
    ahead_s = capsule.market.head().timestamp_s - time.time()
    if ahead_s > AHEAD_S and not capsule.network.dev:
        raise EnvironmentFault(
            f"the newest block is {ahead_s:.0f} s ahead of this machine's clock",
            hint="set the clock; and ask whether the chain's node tells the truth",
        )
    word = "behind" if ahead_s <= 0 else "ahead of"
    return f"the newest block is {abs(ahead_s):.0f} s {word} this machine's clock"


def _store(capsule: Capsule) -> str:
    cid = Cid.of_blob(_PROBE)
    if capsule.store.get(capsule.store.put(_PROBE), len(_PROBE)) != _PROBE:
        raise StoreUnavailable(f"the store does not return {cid}", hint="is its disk sound?")
    return f"{capsule.network.store.kind}: writable and readable"


def _listed(capsule: Capsule) -> str:
    url, own = capsule.listed_url, capsule.policy.service.url
    former = [one for one in capsule.network.capsules if one.account in capsule.all_accounts[:-1]]
    if not url and former:
        problem = (
            f"the network's file lists {former[0].account}, which {capsule.address} has taken the place of"
        )
        raise ConfigError("capsules", problem, hint=f"`sonar capsules --follow --home {capsule.home.path}`")
    if not url:
        hint = "give whoever runs the network your account and address, or get the newest file by `init`"
        raise ConfigError("capsules", f"the network's file does not list {capsule.address}", hint=hint)
    if own and own != url:
        raise ConfigError(
            "capsules", f"the network's file says {url}, capsule.toml {own}", hint="correct one"
        )
    return f"at {url}"


def _url(capsule: Capsule) -> str:
    """The address answers, and it is this capsule that answers there."""
    url = capsule.policy.service.url or capsule.listed_url
    if not url:
        raise ConfigError("service.url", "is not set", hint="write into capsule.toml how you are reached")
    where = f"{url.rstrip('/')}/v1/identity"
    try:
        with client(httpx.URL(where), timeout=10) as http, http.stream("GET", where) as reply:
            data = next(reply.iter_bytes(_MOST_BYTES), b"")
        signed = SignedAnswer.from_bytes(data)
    except (httpx.HTTPError, SonarError) as error:
        raise EnvironmentFault(
            f"{url} does not answer as a capsule: {error}", hint="is `capsule run` there, and its proxy?"
        ) from error
    network = capsule.network
    digest = answer_digest(network.chain_id, network.contract, signed.body)
    if signer_of(digest, signed.signature) != capsule.address:
        raise ConfigError("service.url", f"another capsule answers at {url}", hint="correct it")
    return f"{url} answers, with the key of epoch {Identity.from_bytes(signed.body).key.epoch}"
