"""What a capsule's operator allows: `capsule.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sonar.errors import ConfigError
from sonar.home.files import read_if_there
from sonar.home.keystore import write_private
from sonar.home.settings import checked_capsule_url, parse_toml
from sonar.manifests.capsule import MAX_REQUEST_BYTES
from sonar.protocol.ids import Address, BountyId, hex32, parse_address, parse_bytes32
from sonar.protocol.record import MAX_COHORT
from sonar.protocol.wording import first_fault, in_toml, nearest

POLICY_FILE = "capsule.toml"
LISTEN = "127.0.0.1:8551"
_TEMPLATE = """\
# What this capsule allows. A missing line means the default, which is shown.
[service]
url = {url}  # by which scientists reach it, as in the network's file
# listen = "127.0.0.1:8551"
# max_body_bytes = 8388608
# questions_per_hour = 3600          # of one bounty's scientist

[policy]
# least = 2                          # the fewest mines that a sum, or a difference of sums, may tell of
# bits = 512                         # told of one mine's answer in a round; a bounty may ask for fewer
# bits_per_mine = 65536              # told of one mine, over all bounties
# retention_days = 30                # an old key is deleted so long after the last bounty that named it
# bounties = []                      # ids; if any is named, no others are served
# bounties_refused = []
# scientists = []                    # accounts; if any is named, no others are served
# scientists_refused = []
"""


def _accounts(values: tuple[str, ...]) -> tuple[Address, ...]:
    return tuple(parse_address(one, "scientists") for one in values)


def _ids(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(hex32(parse_bytes32(one, "bounties")) for one in values)


def parse_listen(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:8551` or `[::1]:8551` into host and port. Raises ValueError."""
    host, mark, port = text.rpartition(":")
    if not mark or not host or not port.isascii() or not port.isdigit() or int(port) >= 1 << 16:
        raise ValueError(f"{text[:80]!r} is not an address like {LISTEN}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _listen(text: str) -> str:
    parse_listen(text)
    return text


_Accounts = Annotated[tuple[str, ...], Field(default=(), strict=False), AfterValidator(_accounts)]
_Ids = Annotated[tuple[str, ...], Field(default=(), strict=False), AfterValidator(_ids)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Service(_Strict):
    """How the capsule is reached, and how much it takes on. `url` may be empty."""

    url: Annotated[str, AfterValidator(lambda text: checked_capsule_url(text) if text else text)] = ""
    listen: Annotated[str, AfterValidator(_listen)] = LISTEN
    max_body_bytes: Annotated[int, Field(ge=1 << 12, le=MAX_REQUEST_BYTES)] = MAX_REQUEST_BYTES
    questions_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 3600


class Rules(_Strict):
    """What is told to whom: see the comments of the file."""

    least: Annotated[int, Field(ge=2, le=MAX_COHORT)] = 2
    bits: Annotated[int, Field(ge=1, le=4096)] = 512
    bits_per_mine: Annotated[int, Field(ge=1, le=1 << 40)] = 65_536
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    bounties: _Ids
    bounties_refused: _Ids
    scientists: _Accounts
    scientists_refused: _Accounts

    def refusal(self, bounty: BountyId, scientist: Address) -> str:
        """Return why a bounty is not served; nothing if it is."""
        named = hex32(bounty)
        if named in self.bounties_refused or (self.bounties and named not in self.bounties):
            return f"this capsule's operator does not allow the bounty {named}"
        if scientist in self.scientists_refused or (self.scientists and scientist not in self.scientists):
            return f"this capsule's operator does not allow the scientist {scientist}"
        return ""


class Policy(_Strict):
    """The whole file."""

    service: Service = Service()
    policy: Rules = Rules.model_validate({})

    @classmethod
    def load(cls, home: Path) -> Policy:
        """Read the home's capsule.toml; without one, the defaults. Raises ConfigError naming the field."""
        path = home / POLICY_FILE
        data = read_if_there(path, POLICY_FILE)
        if data is None:
            return cls()
        fields = parse_toml(data, str(path))
        try:
            return cls.model_validate(fields)
        except ConfigError as error:  # of an address or an id
            hint = error.hint or "copy it whole"
            raise ConfigError(f"{path}: policy.{error.field}", error.problem, hint=hint) from error
        except ValidationError as error:
            field, problem = first_fault(error, POLICY_FILE, show=True, given=fields)
            hint = _meant(field) if problem.startswith("unknown field") else "correct this field"
            raise ConfigError(f"{path}: {field}", problem, hint=hint) from error

    def in_words(self) -> str:
        """What the operator allows, for people."""
        rules = self.policy
        named = [
            f"{word} {', '.join(values)}"
            for word, values in (
                ("only the bounties", rules.bounties),
                ("not the bounties", rules.bounties_refused),
                ("only the scientists", rules.scientists),
                ("not the scientists", rules.scientists_refused),
            )
            if values
        ]
        told = (
            f"sums and their differences tell of at least {rules.least} mines; at most {rules.bits} bits of "
            f"one answer, {rules.bits_per_mine} of one mine; {self.service.questions_per_hour} questions an "
            f"hour and bounty; old keys are deleted {rules.retention_days} days after their last bounty"
        )
        return "; ".join([told, *named])[:2000]


def write_first(home: Path, url: str) -> None:
    """Write the policy file, if there is none; `url` is an address of this capsule, or nothing.

    Raises ConfigError, KeyFileError.
    """
    path = home / POLICY_FILE
    try:
        Service(url=url)
    except ValidationError as error:
        raise ConfigError("--url", first_fault(error, "url", show=True)[1]) from error
    if not path.exists():
        write_private(path, _TEMPLATE.format(url=in_toml(url)).encode())
    elif url and url != (now := Policy.load(home).service.url):
        raise ConfigError(
            "--url", f"is not what {path} says: {now!r}", hint="change it there, or leave --url out"
        )


def _meant(field: str) -> str:
    """Return the hint for an unknown field: where its name belongs, or the nearest one."""
    tables: dict[str, type[BaseModel]] = {"service": Service, "policy": Rules}
    name = field.rpartition(".")[2]
    for table, model in tables.items():
        if name in model.model_fields:
            return f"move it below [{table}]"
    if name in ("port", "host", "address"):
        return f'write listen = "{LISTEN}" below [service]'
    if "." not in field:
        return nearest(field, tables)
    return nearest(
        field, [f"{table}.{each}" for table, model in tables.items() for each in model.model_fields]
    )
