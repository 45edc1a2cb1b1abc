"""The network file, `network.toml`: everything a client must know about a network, written by whoever runs
it.

Nobody copies addresses by hand: chain id, contract and the hash of its code come from here, and every client
checks them against the chain before it sends money.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sonar.errors import ConfigError
from sonar.home.files import expanded, in_full, read_if_there, remedy, text_of
from sonar.http import checked_url
from sonar.protocol.ids import Address, hex32, parse_address, parse_bytes32
from sonar.protocol.wording import first_fault, nearest, other_version

MAX_FILE_BYTES = 64 * 1024
FORMAT = 2
_HEAD = "# A Sonar network. Give this file to everyone who takes part; it holds no secret."
_HOST = r"/(?:ip4/[0-9.]{7,15}|ip6/[0-9A-Fa-f:.]{2,45}|dns[46]?/[A-Za-z0-9._-]{1,253})"
_PEER = re.compile(rf"({_HOST}/tcp/[0-9]{{1,5}})/p2p/([1-9A-HJ-NP-Za-km-z]{{40,64}})")


def parse_toml(data: bytes, field: str) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises ConfigError naming `field`."""
    text = text_of(data, field)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # too many digits, or brackets, are no TOMLDecodeError
        raise ConfigError(field, f"is not TOML: {error}", hint="correct the line") from error


def checked_api_url(text: str) -> str:
    """Return `text` if it can be the address of a Kubo's RPC API. Raises ValueError."""
    return checked_url(text, "http://127.0.0.1:5001")


def _code_hash(value: object) -> object:
    return parse_bytes32(value, "code_hash") if isinstance(value, str) else value


def parse_address_of_node(text: str) -> tuple[str, int]:
    """Split `/ip4/192.0.2.7/tcp/4001` into host part and port. Raises ValueError."""
    host, _, port = text.rpartition("/tcp/")
    if not re.fullmatch(_HOST, host) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) >= 1 << 16:
        raise ValueError(f"{text[:120]!r} is not an address like /ip4/192.0.2.7/tcp/4001 (TCP only)")
    return host, int(port)


def parse_peer(text: str) -> tuple[str, str]:
    """Split `/ip4/192.0.2.7/tcp/4001/p2p/12D3…` into address and peer id. Raises ValueError."""
    found = _PEER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:120]!r} is not a peer like /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…")
    parse_address_of_node(found[1])
    return found[1], found[2]


def _peer(text: str) -> str:
    parse_peer(text)
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class StoreConfig(_Strict):
    """Where this network's blobs are.

    A folder has a `path`. With Kubo, each party starts a node of its own, which joins the swarm of
    `swarm_key_file` through the `bootstrap` peers; with `api_url` it uses a node that is already running.
    `public` says that everybody on the internet may have the blobs: only then may a running node be one of
    the public swarm, and no node is started for you.
    """

    kind: Literal["folder", "kubo"] = "folder"
    path: str = ""
    api_url: Annotated[str, AfterValidator(lambda text: checked_api_url(text) if text else text)] = ""
    bootstrap: tuple[Annotated[str, AfterValidator(_peer)], ...] = Field(default=(), strict=False)
    swarm_key_file: str = ""
    public: bool = False


class FaucetConfig(_Strict):
    """A funded account that development networks hand out, as a file with its key in hex."""

    key_file: str


def checked_capsule_url(text: str) -> str:
    """Return `text` if a capsule can be there, for everybody who has the file. Raises ValueError."""
    example = "https://capsule.example"
    _, _, rest = checked_url(text, example).partition("://")
    if "@" in rest or "?" in rest or "#" in rest:
        raise ValueError(f"not an address like {example}: it takes no password, and no ? or #")
    return text


class CapsuleConfig(_Strict):
    """A capsule that serves the network: where, and the account that signs what it tells.

    `formerly`: accounts that it had, under which it still serves the bounties that name them.
    """

    url: Annotated[str, AfterValidator(checked_capsule_url)]
    account: Annotated[Address, AfterValidator(lambda text: parse_address(text, "capsules.account"))]
    formerly: Annotated[
        tuple[Annotated[Address, AfterValidator(lambda text: parse_address(text, "capsules.formerly"))], ...],
        Field(strict=False, max_length=32),
    ] = ()


def _distinct(capsules: tuple[CapsuleConfig, ...]) -> tuple[CapsuleConfig, ...]:
    accounts = [account for each in capsules for account in (each.account, *each.formerly)]
    if twice := next((one for one in accounts if accounts.count(one) > 1), None):
        raise ValueError(f"the account {twice} occurs twice; list each capsule once")
    return capsules


class NetworkConfig(_Strict):
    """A network. Paths that are relative are so to the folder of the file.

    `client` names the chain's software, for reports only. `dev` marks networks whose ether is worth nothing:
    only they have a faucet, cheap keystores and the conveniences that would be careless elsewhere.
    """

    v: Literal[2] = 2
    name: Annotated[str, Field(min_length=1, max_length=64)]
    dev: bool = False
    client: Annotated[str, Field(max_length=64)] = ""
    chain_id: Annotated[int, Field(ge=1, lt=2**64)]
    rpc_url: Annotated[str, AfterValidator(lambda text: checked_url(text))]
    contract: Annotated[Address, AfterValidator(lambda text: parse_address(text, "contract"))]
    code_hash: Annotated[bytes, BeforeValidator(_code_hash)]
    deployed_block: Annotated[int, Field(ge=0)] = 0
    confirmations: Annotated[int, Field(ge=1, le=1000)] = 1
    store: StoreConfig
    faucet: FaucetConfig | None = None
    capsules: Annotated[
        tuple[CapsuleConfig, ...], Field(strict=False, max_length=64), AfterValidator(_distinct)
    ] = ()

    @classmethod
    def load(cls, path: Path) -> NetworkConfig:
        """Read a network file. Raises ConfigError that names the field."""
        path = expanded(path, "network")
        fields = parse_toml(_read(path), str(path))
        if (version := fields.get("v", 1)) != FORMAT:
            if "contract" not in fields:  # which those of version 1 have, that have no v
                raise ConfigError("network", f"{path} is not a network file", hint=_WHICH_FILE)
            problem, hint = other_version(version, FORMAT, _OLD_NETWORK)
            raise ConfigError(f"v in {path}", f"the network file {problem}", hint=hint)
        network = cls.checked(path, fields, hint="get the network file again, or correct this field")
        if network.faucet is not None and not network.dev:
            raise ConfigError(f"faucet in {path}", "only networks marked dev = true have one")
        return network.resolved(in_full(path, "network").parent)

    @classmethod
    def checked(cls, path: Path, fields: dict[str, Any], *, hint: str = "") -> NetworkConfig:
        """Return the network of these fields, of the file at `path`. Raises ConfigError naming the field."""
        try:
            return cls.model_validate(fields)
        except ConfigError as error:  # of an address or a digest
            raise ConfigError(f"{error.field} in {path}", error.problem, hint=error.hint or hint) from error
        except ValidationError as error:
            field, problem = first_fault(error, "network", show=True, given=fields)
            if problem.startswith("unknown field"):
                hint = nearest(re.sub(r"\.[0-9]+\.", ".", field), _known_fields())
            elif field == "capsules" and isinstance(fields["capsules"], dict):
                hint = "write [[capsules]], with two brackets, above the url and the account of each"
            place = re.sub(r"^capsules\.([0-9]+)\.", lambda at: f"capsule {int(at[1]) + 1}'s ", field)
            raise ConfigError(f"{place} in {path}", problem, hint=hint) from error

    def resolved(self, folder: Path) -> NetworkConfig:
        """Return the same with its paths absolute, relative ones taken from `folder`."""
        store, faucet = self.store, self.faucet
        if not store.path and store.kind == "folder":
            raise ConfigError("store.path", "a store of kind folder needs one")
        named = {name: getattr(store, name) for name in ("path", "swarm_key_file")}
        full = {name: str(folder / expanded(path, f"store.{name}")) for name, path in named.items() if path}
        if faucet is not None:
            faucet = FaucetConfig(key_file=str(folder / expanded(faucet.key_file, "faucet.key_file")))
        return self.model_copy(update={"store": store.model_copy(update=full), "faucet": faucet})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises ConfigError."""
        fields = self.model_dump(exclude_none=True, exclude_defaults=False)
        fields["code_hash"] = hex32(self.code_hash)
        for table in ("store", "faucet"):
            if table in fields:
                fields[table] = {key: value for key, value in fields[table].items() if value}
        for one in fields["capsules"]:
            if not one["formerly"]:
                del one["formerly"]
        if not fields["capsules"]:
            del fields["capsules"]
        path = expanded(path, "network")
        temporary = path.with_name(path.name + ".new")
        try:
            temporary.write_bytes(f"{_HEAD}\n{tomli_w.dumps(fields)}".encode())
            temporary.replace(path)
        except UnicodeEncodeError as error:
            problem = f"{error.object[error.start - 20 : error.end + 20]!r} is not in UTF-8, as TOML must be"
            raise ConfigError("network", problem, hint="give that file or folder another name") from error
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            problem = f"{path} cannot be written: {error.strerror}"
            raise ConfigError("network", problem, hint=remedy(error, path)) from error


_WHICH_FILE = "get network.toml from whoever runs the network; `sonar chain` and `sonar deploy` write it"
_OLD_NETWORK = (
    "get the file of a network of this version, for a new home, and finish running bounties with the version "
    "of Sonar that began them"
)


def _known_fields() -> list[str]:
    """Return every field of a network file, as it is written there."""
    tables: dict[str, type[BaseModel]] = {
        "store": StoreConfig,
        "faucet": FaucetConfig,
        "capsules": CapsuleConfig,
    }
    return [
        *NetworkConfig.model_fields,
        *(f"{table}.{name}" for table, model in tables.items() for name in model.model_fields),
    ]


def _read(path: Path) -> bytes:
    data = read_if_there(path, "network", MAX_FILE_BYTES)
    if data is None:
        raise ConfigError(
            "network",
            f"there is no network file at {path}",
            hint="name it with --network (a home takes it over by `init`), or start a local network with "
            "`sonar chain --home DIR`",
        )
    return data
