"""Changing a bounty's Paillier key, what each of its keys is for, and removing them when nobody needs them.

A change is asked for by one new file, so it needs neither the home's lock nor a running campaign, and a kill
leaves it asked for or not. `pysonar.campaign` takes it up at the next boundary of rounds.
"""

from __future__ import annotations

from contextlib import suppress
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

from pysonar.campaign.records import Records
from pysonar.keys import keyfile
from pysonar.keys.key import Key
from pysonar.keys.keyfile import files_of, next_file
from sonar.errors import KeyFileError, UsageError
from sonar.manifests.model import KeyManifest
from sonar.telling.documents import Integer, document

if TYPE_CHECKING:
    from pysonar.bounty.base import AnyBounty
    from pysonar.wiring import Scientist

IN_USE, PAST, ASKED, UNNEEDED = "in use", "past", "asked for", "not needed"
MISSING, REMOVED = "missing", "removed"


@document
class BountyKey:
    """One of a bounty's keys.

    `state`: "in use"; "past", it opens past updates until the bounty closes; "asked for", from the next
    boundary of rounds on; "not needed" any more, or ever; "missing": its file is gone, and "removed" if
    it is not needed.
    `first_round` and `last_round` are 0 before the first, and as long as there is no last.
    """

    fingerprint: str
    path: str
    state: str
    first_round: Integer
    last_round: Integer


@document
class KeyRotated:
    """A bounty's next key. `again`: it was asked for before. `from_round` is the first that it may count in:
    a round that changes nothing leaves the model, and its key, to the next one.
    """

    bounty: str
    path: str
    bits: Integer
    fingerprint: str
    from_round: Integer
    again: bool


@document
class KeysRemoved:
    """Which files of a closed bounty's keys were removed."""

    bounty: str
    removed: list[str]


def keys_of(scientist: Scientist, name: str) -> list[BountyKey]:
    """Return a bounty's keys, oldest first. Raises KeyFileError, JournalError."""
    records = Records(scientist.journal, name)
    files = {keyfile.named(path).fingerprint: path for path in files_of(scientist.keys, name)}
    rounds = records.keys() if scientist.posted(name) else {}
    over = records.is_closed()
    found = []
    for fingerprint in dict.fromkeys([*rounds.values(), *files]):
        first = next((number for number, each in rounds.items() if each == fingerprint), 0)
        later = [number for number in rounds if first and number > first]
        newest = fingerprint == list(files)[-1] if files else False
        path = str(files.get(fingerprint, ""))
        if over or not (first or newest):
            state = UNNEEDED if path else REMOVED
        elif not path:
            state = MISSING
        elif first:
            state = PAST if later else IN_USE
        else:
            state = ASKED if rounds else IN_USE
        found.append(BountyKey(fingerprint.hex(), path, state, first, min(later) - 1 if later else 0))
    return found


def rotate(scientist: Scientist, name: str, password: str, given: Path | None = None) -> KeyRotated:
    """Ask for a new key of a bounty that was started here, made now or `given` as a key file.

    Asking again before it counts changes nothing. Raises ConfigError for an unknown bounty, UsageError where
    no round comes after this one, or for a key that is used already, KeyFileError.
    """
    asked = scientist.started(name)
    name, number = asked.settings.name, _next_round(scientist, asked)
    keys, bits = keys_of(scientist, name), asked.settings.key_bits
    waiting = next((one for one in keys if one.state == ASKED), None)
    if waiting is not None and given is None:
        return KeyRotated(name, waiting.path, bits, waiting.fingerprint, number, again=True)
    if waiting is not None:
        hint = "let it take effect first; or delete its file, if no program runs this bounty"
        raise UsageError(f"another key is asked for already: {waiting.path}", hint=hint)
    if given is None:
        scientist.progress.note(f"making a key of {bits} bits")
        with scientist.progress.timed("make key"):
            key = Key.generate(bits, insecure=asked.settings.insecure_key)
    else:
        key = _given(scientist, asked, given, password)
    path = next_file(scientist.keys, name)
    first = keyfile.named(files_of(scientist.keys, name)[0]).ledger
    key.save_next(path, password, first, dev=scientist.network.dev)
    return KeyRotated(name, str(path), bits, key.public.fingerprint.hex(), number, again=False)


def _next_round(scientist: Scientist, asked: AnyBounty) -> int:
    """The first round that a new key may count in. Raises UsageError without one, or without a key."""
    name, records = asked.settings.name, Records(scientist.journal, asked.settings.name)
    if records.is_closed():
        hint = f"a new bounty gets a key of its own; `pysonar key remove {name}` removes the keys of this one"
        raise UsageError(f"the bounty {name!r} is closed, so its key cannot be changed", hint=hint)
    if not files_of(scientist.keys, name):
        hint = f"it gets one when it is first run; `pysonar key new {name}` makes it now"
        raise UsageError(f"the bounty {name!r} has no key that could be changed", hint=hint)
    if not scientist.posted(name):
        return 1
    number, last = records.finished() + 1, asked.terms.rounds
    if number >= last:
        hint = f"after it, `pysonar key remove {name}` removes the key"
        raise UsageError(
            f"round {number} is the last one: no model comes after it to change the key", hint=hint
        )
    return number + 1


def _given(scientist: Scientist, asked: AnyBounty, given: Path, password: str) -> Key:
    """The key in a file, if this bounty can take it. Raises KeyFileError, UsageError."""
    name, settings = asked.settings.name, asked.settings
    p, q, said = keyfile.primes(given, password)
    own = [one.fingerprint for one in keys_of(scientist, name)]
    if said.fingerprint.hex() in own:
        hint = "leave out --key to have a new one made"
        raise UsageError(
            f"{given} is a key that the bounty {name!r} has already: nothing would change", hint=hint
        )
    for path in sorted(scientist.keys.glob("*.json")):
        with suppress(KeyFileError):
            if keyfile.named(path).fingerprint == said.fingerprint:
                hint = "each bounty takes keys of its own, so that one ledger counts all that they open"
                raise UsageError(f"{given} is the key {path.name} of this home", hint=hint)
    key = Key(p, q)
    if key.public.bits != settings.key_bits:
        hint = "the size is part of the bounty's first manifest, and cannot change"
        raise UsageError(f"{given} has {key.public.bits} bits, the bounty has {settings.key_bits}", hint=hint)
    for data in Records(scientist.journal, name).key_manifests().values():
        if gcd(int.from_bytes(KeyManifest.from_bytes(data).n, "big"), int(key.public.n)) != 1:
            hint = "anybody could compute both: leave out --key to have a new one made"
            raise UsageError(f"{given} has a prime in common with an earlier key of the bounty", hint=hint)
    return key


def remove(scientist: Scientist, name: str) -> KeysRemoved:
    """Remove all keys of a bounty that is closed, and what they have opened; their ledger stays.

    Doing it again changes nothing. Raises ConfigError, UsageError while the bounty needs them.
    """
    name = scientist.started(name).settings.name
    records = Records(scientist.journal, name)
    if scientist.posted(name) and not records.is_closed():
        raise UsageError(
            f"the bounty {name!r} is open: its keys open what its mines send, old ones what they have sent",
            hint="run this again when it is closed; `pysonar status` tells",
        )
    files, removed = files_of(scientist.keys, name), list[str]()
    for ledger in {keyfile.ledger_beside(path, keyfile.named(path).ledger) for path in files}:
        opened = ledger.with_suffix(".opened")
        removed += _removed([opened, Path(f"{opened}-journal")])
    return KeysRemoved(name, removed + _removed(files))


def _removed(paths: list[Path]) -> list[str]:
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink(missing_ok=True)
    return [str(path) for path in there]
