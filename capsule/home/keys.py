"""A capsule's keys for envelopes, by epoch: on disk encrypted, under the account's key.

So a copy of the home tells nobody a seed who does not have the keystore's password too.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field

from sonar.chain.signatures import key_fault, sign_digest
from sonar.errors import JournalBlocked, KeyFileError, ManifestError, UsageError
from sonar.home.files import remedy
from sonar.home.folder import Home, PrivateFolder
from sonar.manifests.model import CapsuleKey
from sonar.protocol.capsules import key_digest
from sonar.protocol.ids import Address
from sonar.protocol.record import Manifest
from sonar.veil.envelopes import EnvelopeKey

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_DOMAIN = b"sonar capsule keys 1"
_NONCE_BYTES = 12
_SUFFIX = ".epoch"


class KeyFile(Manifest):
    """One epoch's key: the public part, signed for one network, and the private part, sealed."""

    max_bytes: ClassVar[int] = 8192

    v: Literal[2] = 2
    kind: Literal["capsule-key"] = "capsule-key"
    key: CapsuleKey
    made_s: Annotated[int, Field(ge=0, lt=1 << 40)]
    sealed: Annotated[bytes, Field(min_length=_NONCE_BYTES + 16, max_length=4096)]


@dataclass(frozen=True)
class Epoch:
    """A key that opens envelopes, and what others know of it. `made_s`: this machine's clock, for people."""

    public: CapsuleKey
    made_s: int
    secret: EnvelopeKey


class Keys:
    """The keys in a home, for one account on one network. Raises KeyFileError, JournalBlocked."""

    def __init__(self, home: Home, chain_id: int, contract: Address) -> None:
        self._path, self._folder = home.path / "keys", PrivateFolder(home.path / "keys")
        self._lock_path = home.path / "keys.lock"
        self._chain_id, self._contract = chain_id, contract

    def epochs(self) -> list[int]:
        """The epochs whose keys are there, ascending."""
        names = [path.name.removesuffix(_SUFFIX) for path in self._path.glob(f"*{_SUFFIX}")]
        return sorted(int(name) for name in names if name.isdecimal())

    def public(self, epoch: int | None = None) -> KeyFile:
        """What is known of an epoch's key, or of the newest one's, without the account."""
        newest = self.epochs()[-1:]
        number = epoch if epoch is not None else (newest[0] if newest else None)
        data = None if number is None else self._folder.get(f"{number}{_SUFFIX}")
        if data is None:
            raise KeyFileError(
                f"there is no key of epoch {number} in {self._path}" if newest else f"no key in {self._path}",
                hint="`capsule init` makes the first one, `capsule rotate` the next",
            )
        try:
            return KeyFile.from_bytes(data)
        except ManifestError as error:
            raise KeyFileError(f"the key of epoch {number} is damaged: {error}", hint=_RESTORE) from error

    def load(self, account: LocalAccount) -> dict[int, Epoch]:
        """Open all keys, by epoch. Those that were signed for another network open nothing here."""
        opened: dict[int, Epoch] = {}
        for epoch in self.epochs():
            file = self.public(epoch)
            if self.is_ours(file.key, Address(account.address)):
                opened[epoch] = self._opened(file, account)
        return opened

    def open(self, epoch: int, account: LocalAccount) -> Epoch | None:
        """Open one epoch's key; None if it was signed for another network, or by another account."""
        file = self.public(epoch)
        return self._opened(file, account) if self.is_ours(file.key, Address(account.address)) else None

    def _opened(self, file: KeyFile, account: LocalAccount) -> Epoch:
        return Epoch(file.key, file.made_s, _unsealed(file, account))

    def is_ours(self, key: CapsuleKey, account: Address) -> bool:
        """Tell whether an account signed a key for envelopes, for this network."""
        return key.account == account and not key_fault(key, self._chain_id, self._contract)

    def add(self, account: LocalAccount, made_s: int, *, above: int = 0) -> CapsuleKey:
        """Make the key of the next epoch, whose number is greater than `above`, and return its public part.

        Whole or not at all, whenever it is killed; a capsule that serves sees the file (`capsule.home.ring`).
        """
        address, secret = Address(account.address), EnvelopeKey.new()
        with self._changing():
            epoch = max([above, *self.epochs()]) + 1
            digest = key_digest(self._chain_id, self._contract, address, epoch, secret.public)
            key = CapsuleKey(
                account=address, epoch=epoch, hpke=secret.public, signature=sign_digest(account, digest)
            )
            nonce = os.urandom(_NONCE_BYTES)
            sealed = nonce + AESGCM(_wrapping_key(account)).encrypt(nonce, secret.to_bytes(), key.hpke)
            file = KeyFile(key=key, made_s=made_s, sealed=sealed)
            self._folder.put(f"{epoch}{_SUFFIX}", file.to_bytes())
        return key

    def delete(self, epoch: int) -> None:
        """Delete an old epoch's key, and with it every seed that was sealed for it. Raises UsageError."""
        with self._changing():
            there = self.epochs()
            if epoch not in there:
                raise UsageError(f"there is no key of epoch {epoch}", hint="`capsule status` lists them")
            if epoch == there[-1]:
                raise UsageError(f"epoch {epoch} is in use", hint="`capsule rotate` begins the next one")
            self._folder.keep_only([f"{one}{_SUFFIX}" for one in there if one != epoch])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time, by whatever process: the home's lock is held by the capsule that serves."""
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = f"{self._lock_path} cannot be locked: {error.strerror}"
            raise JournalBlocked(problem, hint=remedy(error, self._lock_path)) from error


def _unsealed(file: KeyFile, account: LocalAccount) -> EnvelopeKey:
    nonce, sealed = file.sealed[:_NONCE_BYTES], file.sealed[_NONCE_BYTES:]
    try:
        secret = EnvelopeKey.from_bytes(AESGCM(_wrapping_key(account)).decrypt(nonce, sealed, file.key.hpke))
    except (InvalidTag, ValueError) as error:
        raise KeyFileError(
            f"the key of epoch {file.key.epoch} does not open with this account", hint=_RESTORE
        ) from error
    if secret.public != file.key.hpke:
        raise KeyFileError(f"the key of epoch {file.key.epoch} is not its public key's", hint=_RESTORE)
    return secret


def _wrapping_key(account: LocalAccount) -> bytes:
    return hmac.digest(bytes(account.key), _DOMAIN, "sha256")


_RESTORE = "restore the folder from a copy of this home; or begin with a new home"
