"""Every exception of Sonar, in one tree. Catch the base, a branch, or the leaf.

SonarError
├── UsageError                what the caller gave is wrong; nothing was changed
│   ├── ConfigError           a field of network.toml, bounty.toml or of an environment variable
│   ├── DataError             a data set: a column, a row, a value
│   ├── ArgumentError         an estimator was given what it cannot take: a ValueError, as scikit-learn has it
│   ├── PlanError             no slot plan fits what was asked for
│   ├── ConsentError          a mine refuses, to protect its data
│   │   └── BoundsError       the data exceed the bounds that the bounty declares
│   ├── KeyFileError          a key file or keystore: format, mode, passphrase
│   ├── LedgerConflict        the ledger forbids this decryption
│   ├── HomeLocked            another process works in this home folder
│   ├── InsufficientFunds     the account cannot pay
│   └── LocalProtocolError    our own code asked for a transition that the protocol does not have
├── RemoteError               a peer, the chain or the store sent something that breaks the protocol
│   ├── ManifestError         a field of a manifest
│   ├── DigestMismatch        bytes that do not have the digest they were asked for by
│   ├── BlobTooLarge          more bytes than the limit
│   ├── CiphertextError       a ciphertext, a public key or a blob of them
│   ├── UpdateOutOfRange      a decrypted value outside the declared range (never echoed)
│   ├── RpcError              the chain's node refused a request, or answered with nonsense
│   │   ├── BlockMissing      it does not keep what it knew at a block any more, or does not have that yet
│   │   └── ProxyRefused      it takes no transaction that fits every chain, as the CREATE2 proxy's does
│   ├── CapsuleFault          a capsule's answer that is none, is not signed by it, or is to another question
│   │   └── CapsulesDiffer    two capsules tell different things of what both hold
│   └── WrongContract         other code than the network file says
├── EnvironmentFault          this machine, its network or a service; trying again may help
│   ├── BlobNotFound
│   ├── StoreUnavailable
│   │   ├── StoreRefused      the store answers, and says no
│   │   └── StoreUnusable     what is there cannot serve us, however often it is asked
│   ├── ChainUnavailable
│   │   └── ChainUnusable     what is there cannot serve us, however often it is asked
│   ├── CapsuleUnavailable    too few of a bounty's capsules answer
│   │   └── CapsuleRefused    a capsule answers, and says no
│   │       └── CapsuleComplains  it says, signed, that it cannot make some mines' masks
│   ├── PortInUse
│   ├── ClientMissing         a program or package that is not installed
│   ├── JournalError          a journal file: damaged, or of another program or version
│   │   └── JournalBlocked    its disk is full, or another program has it locked
│   ├── MemoryShort           what has to be done needs more memory than this process may take
│   ├── TransactionStuck      sent, and neither mined nor replaced
│   └── WaitTimeout
└── MarketError               the contract refused; a leaf per custom error, see `sonar.chain.contract.errors`

Each message says what is wrong, with its values; `hint` says what to do next.
"""

from __future__ import annotations

from collections.abc import Collection


class SonarError(Exception):
    """Base of all of Sonar's exceptions. `hint` says what to do next; it may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def hint(self) -> str:
        """What to do next; it may be empty."""
        return self._hint

    @hint.setter
    def hint(self, hint: str) -> None:
        self._hint = hint
        self.__notes__ = [f"hint: {hint}"] if hint else []  # what a notebook shows of it


class UsageError(SonarError):
    """What the caller gave is wrong; nothing was changed."""


class FieldError(UsageError):
    """A named field is wrong. `field` is its path, `problem` what is wrong with it."""

    def __init__(self, field: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {problem}", hint=hint)
        self.field = field
        self.problem = problem


class ConfigError(FieldError):
    """A field of a configuration file or an environment variable."""


class DataError(FieldError):
    """A data set is unusable: `field` names the column, row or file."""


class ArgumentError(UsageError, ValueError):
    """An estimator was given what it cannot take. scikit-learn's tools expect a ValueError there."""


class PlanError(UsageError):
    """No slot plan fits; the message says what would overflow and what to change."""


class ConsentError(UsageError):
    """A mine refuses to take part, to protect its data."""


class BoundsError(ConsentError):
    """The data exceed the bounds that the bounty declares."""


class KeyFileError(UsageError):
    """A key file or keystore that cannot be used: format, file mode or passphrase."""


class LedgerConflict(UsageError):
    """The ledger forbids this decryption: another aggregate of that round was decrypted before."""


class HomeLocked(UsageError):
    """Another process works in this home folder."""


class InsufficientFunds(UsageError):
    """An account cannot pay. In the smallest units of `asset`, an address or "wei"."""

    def __init__(self, address: str, have_units: int, need_units: int, asset: str = "wei") -> None:
        in_ether = asset == "wei"
        have, need, more = (
            _ether(amount) if in_ether else f"{amount} units of {asset}"
            for amount in (have_units, need_units, need_units - have_units)
        )
        faucet = f" (on a development network: sonar fund {address})" if in_ether else ""
        super().__init__(
            f"{address} has {have} and needs {need}",
            hint=f"send at least {more} to {address}{faucet}, then run the same command again",
        )
        self.address, self.have_units, self.need_units, self.asset = address, have_units, need_units, asset


def _ether(amount_wei: int) -> str:
    """Return an amount with all digits, as `sonar fund --amount` accepts it."""
    whole, rest = divmod(amount_wei, 10**18)
    return f"{whole}.{rest:018}".rstrip("0").rstrip(".") + " ether"


class LocalProtocolError(UsageError):
    """Our own code asked for a transition that the protocol does not have. Nothing was changed."""


class RemoteError(SonarError):
    """A peer, the chain or the store sent something that breaks the protocol."""


class ManifestError(RemoteError):
    """A manifest is malformed. `field` is the path of the field, or the manifest's name."""

    def __init__(self, field: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {problem}", hint=hint)
        self.field = field
        self.problem = problem


class DigestMismatch(RemoteError):
    """Bytes that do not have the digest they were asked for by. Digests as hex."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"expected digest {expected}, got bytes with digest {actual}")
        self.expected, self.actual = expected, actual


class BlobTooLarge(RemoteError):
    """More bytes than the limit allows. `size` may be a lower bound."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"{what} has {size} bytes; the limit is {limit}")
        self.what, self.size, self.limit = what, size, limit


class CiphertextError(RemoteError):
    """A ciphertext, a public key or a blob of ciphertexts that is not one."""


class UpdateOutOfRange(RemoteError):
    """A decrypted value lies outside its declared range. The value is never shown."""


class WrongContract(RemoteError):
    """The code at the address is not the code that the network file names. Hashes as hex."""

    def __init__(self, address: str, expected: str, found: str) -> None:
        super().__init__(
            f"the contract at {address} has code hash {found}, the network file says {expected}",
            hint="get the network file of this network again, from whoever runs it, before you send money",
        )
        self.address, self.expected, self.found = address, expected, found


class RpcError(RemoteError):
    """The chain's node refused a request (`code` and `data` as in JSON-RPC), or its answer makes no sense."""

    def __init__(self, message: str, *, code: int = 0, data: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code, self.data = code, data


class BlockMissing(RpcError):
    """The chain's node does not keep the state of a block any more, or does not have that block yet."""


class ProxyRefused(RpcError):
    """The node takes no transaction without a chain id, so the CREATE2 proxy cannot be put on its chain."""


class CapsuleFault(RemoteError):
    """A capsule's answer that is none, is not signed by its account, or is to another question."""


class CapsulesDiffer(CapsuleFault):
    """Two capsules tell different things of the seeds that both hold: one of them is wrong."""


class EnvironmentFault(SonarError):
    """This machine, its network or a service fails; trying again may help."""


class BlobNotFound(EnvironmentFault):
    """No reachable store has this CID."""

    def __init__(self, cid: str) -> None:
        super().__init__(f"{cid} is not in the store", hint="is the node that published it running?")
        self.cid = cid


class StoreUnavailable(EnvironmentFault):
    """The store does not answer, or cannot write."""


class StoreRefused(StoreUnavailable):
    """The store answered, and refused. `told` is what it said."""

    def __init__(self, message: str, told: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.told = told


class StoreUnusable(StoreUnavailable):
    """What is at the store's address cannot serve us, however often it is asked."""


class ChainUnavailable(EnvironmentFault):
    """The chain's node does not answer."""


class ChainUnusable(ChainUnavailable):
    """What is at the node's address, or its chain, cannot serve us, however often it is asked."""


class CapsuleUnavailable(EnvironmentFault):
    """A capsule does not answer, or too few of a bounty's do."""


class CapsuleRefused(CapsuleUnavailable):
    """A capsule answered, and refused. `code` is its reason in one word; `mine` whose answer is at fault, if
    one's is.
    """

    def __init__(self, message: str, code: str, *, mine: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code, self.mine = code, mine


class CapsuleComplains(CapsuleRefused):
    """A capsule says, signed, that it cannot make the masks of `mines`."""

    def __init__(self, message: str, mines: Collection[str], *, hint: str = "") -> None:
        super().__init__(message, "mine", mine=min(mines), hint=hint)
        self.mines = frozenset(mines)


class PortInUse(EnvironmentFault):
    """A port on this machine is taken."""

    def __init__(self, port: int, option: str = "--port", host: str = "127.0.0.1") -> None:
        super().__init__(
            f"port {port} on {host} is in use", hint=f"choose another with {option}; port 0 is any free one"
        )
        self.port = port


class ClientMissing(EnvironmentFault):
    """A program or package that is needed is not installed."""


class JournalError(EnvironmentFault):
    """A journal file is damaged, or belongs to another program or version."""


class JournalBlocked(JournalError):
    """A journal file cannot be used now: its disk is full, or another program has it locked."""


class MemoryShort(EnvironmentFault):
    """This process cannot get the memory that it needs."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            hint="give the container or the shell more (docker run --memory, ulimit -v), or use another "
            "machine; docs/operate.md says what each program needs",
        )


class TransactionStuck(EnvironmentFault):
    """A transaction was sent, but is neither mined nor replaced."""


class WaitTimeout(EnvironmentFault):
    """Something awaited did not come in time."""


class MarketError(SonarError):
    """The contract refused a call. The leaves, one per custom error, are in `sonar.chain.contract.errors`."""

    data: bytes = b""
    """What the call was reverted with."""
