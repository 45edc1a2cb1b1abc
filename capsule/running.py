"""`capsule run`: the service as a process."""

from __future__ import annotations

import time
from pathlib import Path

from capsule.home.policy import parse_listen
from capsule.home.witness import Witness
from capsule.keeping import Keeping
from capsule.serve.routes import Api
from capsule.serve.server import Server, listening, url_of
from capsule.wiring import Capsule
from sonar.errors import ConfigError, StoreUnavailable, StoreUnusable
from sonar.telling.documents import CapsuleReady
from sonar.telling.tables import print_text
from sonar.telling.terminal import print_json
from sonar.telling.text import clock
from sonar.telling.waiting import patiently


def serve(capsule: Capsule, password_file: Path | None, listen: str | None, *, as_json: bool) -> None:
    """Serve until told to stop. Waits for the chain's node, as after a reboot it may come up later.

    Raises ConfigError, KeyFileError, JournalError, PortInUse, ChainUnavailable, StoreUnusable.
    """
    policy = capsule.policy
    try:
        host, port = parse_listen(listen or policy.service.listen)
    except ValueError as error:
        raise ConfigError("--listen", str(error)) from error
    password = capsule.password(password_file)
    account, former = capsule.unlock(password), capsule.unlock_former(password)  # before any wait
    patiently(lambda: capsule.market, capsule.progress)
    check_ledger(capsule)
    try:
        capsule.opened  # noqa: B018 - an IPFS node takes a while to find its peers
    except StoreUnavailable as fault:
        if isinstance(fault, StoreUnusable):
            raise
        capsule.progress.problem(fault, f"trying again when it is needed. {fault.hint}".rstrip())
    service = capsule.service(account, former)
    made = listening(host, port)
    api, keeping = Api(service), Keeping(capsule, service.look)

    def ready() -> None:
        url = policy.service.url or url_of(made)
        if as_json:
            print_json(CapsuleReady(capsule.address, url, capsule.network.name, bool(capsule.listed_url)))
        else:
            print_text(f"capsule {capsule.address} serves {capsule.network.name!r} at {url_of(made)}")

    try:
        keeping.start()
        Server(api.app(), ready).serve_on(made)
    finally:
        keeping.stop()
        api.close()


def check_ledger(capsule: Capsule) -> None:
    """Find out whether the ledger may have forgotten something, and if so, since when: `Witness`."""
    ledger = capsule.ledger
    witness = Witness(ledger.name)
    if witness.read() not in ledger.marks:
        newest = patiently(lambda: capsule.market.head(), capsule.progress)
        now_s = max(int(time.time()), newest.timestamp_s)  # a node that is restored too lags behind
        ledger.set_blind(now_s)
        capsule.progress.note(
            f"the ledger may have forgotten what was told: of rounds that began by {clock(now_s)}, "
            "nothing new is told but sums. If the home comes from a backup, run `capsule rotate`: keys made "
            "since are gone, and mines that have seen one take no older one"
        )
    witness.write(ledger.marks[0])
    note_keys(capsule)


def note_keys(capsule: Capsule) -> None:
    """Record keys for envelopes that were made while nobody served: a home without them is then older.

    For the process that has the home's lock, and a ledger that is as the witness knows it.
    """
    ledger = capsule.ledger
    witness = Witness(ledger.name)
    for epoch in capsule.keys.epochs():
        if witness.read() in ledger.marks:
            ledger.note_epoch(capsule.keys.public(epoch).key)
            witness.write(ledger.marks[0])
