"""PySonar in a notebook:

    import pysonar

    network = pysonar.connect()                                # or network="network.toml"
    bounty = pysonar.Bounty.of(x, y, target="progression", features=names, name="my-model", r2=0.5)
    print(pysonar.explain(bounty))
    campaign = network.campaign(bounty)
    model = campaign.fit()                                     # runs until the last round is paid
    model.predict(new_patients)

If no network is named, `connect` starts one on this machine: a chain, a store, and mines with a part each
of the bundled diabetes data, all of which end with the session.
"""

from __future__ import annotations

import atexit
import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.start import look_up
from pysonar.bounty.study import Study
from pysonar.campaign.lifecycle import Campaign
from pysonar.embedded import EmbeddedNetwork
from pysonar.given import require_type
from pysonar.keys.key import Key
from pysonar.models.linear import LinearModel
from pysonar.rotating import BountyKey, KeyRotated, keys_of, rotate
from pysonar.show.live import notebook_shell, told_live
from pysonar.wiring import ROLE, Scientist, make_home
from sonar.chain.deploying.faucet import fund
from sonar.errors import ConfigError, SonarError, UsageError
from sonar.home import keystore
from sonar.home.files import expanded, in_full
from sonar.home.folder import Home, default_home
from sonar.home.settings import NetworkConfig
from sonar.telling.amounts import parse_wei
from sonar.telling.progress import Progress, Sink

if TYPE_CHECKING:
    from pysonar.show.card import Card

__all__ = ["Bounty", "Campaign", "Key", "LinearModel", "Session", "Study", "connect", "explain"]

_EMBEDDED_GIFT = "1000 ether"
_ARGUMENTS = {
    "with --home": 'by the argument home="…"',
    "with --network (a home takes it over by `init`)": 'by the argument network="…"',
    "start a local network with `sonar chain --home DIR`": "start a local network by embedded=True",
    "name a file of mode 0600 with --password-file or ": 'give password="…", or name a file of mode 0600 in ',
}
"""What a call of `connect` has for the options that hints of the command line name."""
_sessions: dict[tuple[object, ...], Session] = {}


class Session:
    """A scientist's home, open and connected; a context manager. Made by `connect`.

    It holds the home's lock, so that no other program works there at the same time, until `close`. What
    would do something raises UsageError afterwards.
    """

    def __init__(self, scientist: Scientist, password: str, started: ExitStack) -> None:
        self._scientist, self._password, self._started = scientist, password, started
        self._campaigns: dict[str, Campaign] = {}
        self.closed = False
        look_up(scientist.home.path, scientist.model)
        atexit.register(self.close)

    @property
    def address(self) -> str:
        """The scientist's account."""
        return self._scientist.address

    @property
    def network(self) -> NetworkConfig:
        """The network that it is connected to."""
        return self._scientist.network

    @property
    def network_file(self) -> Path:
        """The network's file, for mines on this machine."""
        return self._scientist.home.network

    @property
    def balance_wei(self) -> int:
        """What the account holds on the chain, in wei. Raises ChainUnavailable."""
        return self._scientist.market.ether(self._scientist.address)

    def fund(self, amount: str = "10 ether") -> int:
        """Ask a development network's faucet for `amount`; return the new balance in wei.

        Raises ConfigError for a malformed amount or if there is no faucet, and ChainUnavailable.
        """
        self._require_open()
        fund(self.network, self.address, parse_wei(amount))
        return self.balance_wei

    def key(self, bounty: AnyBounty) -> Key:
        """Return the bounty's own Paillier key, made and saved in the home if it has none yet.

        Raises KeyFileError, ConfigError.
        """
        self._require_open()
        require_type(
            bounty, Bounty | Study, "bounty", "make one with Bounty.of, .example or .from_toml, or Study.of"
        )
        return self._scientist.key(bounty, self._password)

    def rotate(self, bounty: AnyBounty | str, key: Path | str | None = None) -> KeyRotated:
        """Ask for another Paillier key of a bounty that was started here: a new one, or that of a key file.

        Its campaign takes it at the next boundary of rounds. Asking again before that changes nothing. Raises
        ConfigError; UsageError where no round comes after this one, or for a key that is used already;
        KeyFileError.
        """
        self._require_open()
        require_type(key, Path | str | None, "key", "name the key's file, or leave it out for a new key")
        given = None if key is None else in_full(Path(key), "key")
        return rotate(self._scientist, self._name(bounty), self._password, given)

    def keys(self, bounty: AnyBounty | str) -> list[BountyKey]:
        """Return the Paillier keys of a bounty that was started here, oldest first, and their rounds.

        Raises ConfigError, KeyFileError.
        """
        return keys_of(self._scientist, self._scientist.started(self._name(bounty)).settings.name)

    def _name(self, bounty: AnyBounty | str) -> str:
        require_type(
            bounty, Bounty | Study | str, "bounty", "give a bounty or its name; campaigns() lists the names"
        )
        return bounty if isinstance(bounty, str) else bounty.settings.name

    def campaign(self, bounty: AnyBounty | str) -> Campaign:
        """Return the campaign of a bounty, or of a bounty's name that was started here. Nothing is sent yet.

        The same bounty gives the same campaign, also after a restart: it continues where it was. Raises
        ConfigError for a name that was not started here, or that another bounty has; KeyFileError.
        """
        self._require_open()
        hint = "make one with Bounty.of, .example or .from_toml; campaigns() lists the names"
        require_type(bounty, Bounty | Study | str, "bounty", hint)
        asked = self._scientist.started(bounty) if isinstance(bounty, str) else bounty
        name = asked.settings.name
        known = self._campaigns.get(name)
        if known is None or known.bounty.digest != asked.digest:
            self._scientist.warn_of_window(asked)
            new = self._scientist.campaign(asked, self._password)  # if this is refused, the old one continues
            if known is not None:
                known.close()  # the home keeps one bounty per name, and could not continue this one
            self._campaigns[name] = known = new
        return known

    def close_bounty(self, bounty: Bounty | str) -> None:
        """Ask that a bounty which was posted from here ends early: see `Campaign.close_bounty`.

        Raises ConfigError, UsageError, KeyFileError.
        """
        self.campaign(bounty).close_bounty()

    def card(self, bounty: AnyBounty | str) -> Card:
        """Return the card of a bounty that was started here: data, losses, who learned what, payments.

        In a notebook it shows itself; `to_markdown` and `to_html` are for files. Raises ConfigError,
        KeyFileError, JournalError.
        """
        from pysonar.show.card import card_of

        found = self.campaign(bounty)
        return card_of(found.records, found.bounty, self.network, found.revealed())

    def campaigns(self) -> list[str]:
        """Return the names of the bounties that were started here."""
        return self._scientist.names()

    def close(self) -> None:
        """Release the home, and end the embedded network and the IPFS node if they were started.

        What campaigns have found can still be read; they do nothing more.
        """
        look_up(self._scientist.home.path, None)
        for campaign in self._campaigns.values():
            campaign.close()
        self._scientist.close()
        self._scientist.home.unlock()
        self._started.close()
        self.closed = True
        atexit.unregister(self.close)

    def _require_open(self) -> None:
        if self.closed:  # another process may work in the home by now
            raise UsageError("this session is closed", hint="connect again")

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session {self.address} on {self.network.name!r}>"


def connect(
    home: Path | str | None = None,
    network: Path | str | None = None,
    *,
    embedded: bool | None = None,
    mines: int = 10,
    capsules: int = 0,
    password: str | None = None,
    progress: Sink | None = None,
) -> Session:
    """Open a scientist's home, made if it is new, and connect to its network.

    `network` names a network file, as SONAR_NETWORK does; a home that has one needs none. Where neither home
    nor network is named, or with `embedded`, a development network of a chain, a store, `capsules` capsules
    and `mines` mines is started on this machine, which ends with the session and gives the account ether;
    without `home`, everything is in a temporary folder that goes with it. `password` defaults to that of
    SONAR_PASSWORD or SONAR_PASSWORD_FILE, or a question. `progress` defaults to a display in the notebook, or
    lines on standard error.

    Called again with the same places, it returns the session that is open: a cell may be run twice. Raises
    ConfigError, KeyFileError, HomeLocked, ChainUnavailable; for an embedded network ProcessFailed.
    """
    require_type(home, Path | str | None, "home", 'name the folder: home="sonar-home"')
    require_type(network, Path | str | None, "network", 'name its file: network="network.toml"')
    require_type(embedded, bool | None, "embedded", "True starts a network on this machine")
    require_type(mines, int, "mines", "mines=10 starts ten")
    require_type(capsules, int, "capsules", "capsules=3 starts three")
    require_type(password, str | None, "password", "leave it out to be asked, or take it from SONAR_PASSWORD")
    home = None if home is None else in_full(Path(home), "home")
    network = None if network is None else in_full(Path(network), "network")
    place = (home, network, embedded, mines, capsules)
    session = _sessions.get(place)
    if session is None or session.closed:
        try:
            session = _connect(home, network, embedded, (mines, capsules), password, progress or told_live())
        except SonarError as error:
            error.hint = _in_python(error.hint)
            raise
        _sessions[place] = session
    return session


def _in_python(hint: str) -> str:
    """Return a hint of the command line as one for a call of `connect`, which has arguments for options."""
    for option, argument in _ARGUMENTS.items():
        hint = hint.replace(option, argument)
    return hint


def _connect(
    home: Path | None,
    network: Path | None,
    embedded: bool | None,
    parties: tuple[int, int],
    password: str | None,
    sink: Sink,
) -> Session:
    if embedded and network is not None:
        raise ConfigError("network", "is made for you with embedded=True", hint="give one of the two")
    path = home or default_home(ROLE)
    named = network or os.environ.get("SONAR_NETWORK")
    if embedded is None:
        embedded = not named and not (path / "network.toml").exists()
        if embedded and home is not None:
            hint = 'name its file, network="network.toml"; or, for a new one on this machine, embedded=True'
            missing = "" if path.exists() else "does not exist, and "
            raise ConfigError("home", f"{path} {missing}belongs to no network yet", hint=hint)
    if embedded:
        return _embedded(home, parties, password, sink)
    return _open(path, expanded(named, "SONAR_NETWORK") if named else None, password, sink, ExitStack())


def _embedded(home: Path | None, parties: tuple[int, int], password: str | None, sink: Sink) -> Session:
    """Start a network with so many mines and capsules, connect to it, and take some of its ether."""
    with ExitStack() as started:
        if home is None:
            temporary = tempfile.TemporaryDirectory(prefix="sonar-", ignore_cleanup_errors=True)
            folder = Path(started.enter_context(temporary))
            home, password = folder / ROLE, password or secrets.token_urlsafe(24)
        else:
            folder = home / "embedded"
        mines, capsules = parties
        embedded = EmbeddedNetwork(folder, mines, Progress(sink), capsules)
        started.callback(embedded.stop)
        session = _open(home, embedded.network_file, password, sink, started)
    try:
        session.fund(_EMBEDDED_GIFT)
    except BaseException:
        session.close()
        raise
    return session


def _open(path: Path, network: Path | None, password: str | None, sink: Sink, started: ExitStack) -> Session:
    """Open a home. What was `started` for it ends with the session."""
    dev = NetworkConfig.load(network or path / "network.toml").dev
    if password is None:
        new = not keystore.addresses(path / "keystore")
        password = keystore.read_password(confirm=new, notebook=notebook_shell() is not None)
    home = Home(make_home(path, network, dev=dev, password=password), ROLE)
    scientist = Scientist(home, Progress(sink, ROLE))
    scientist.unlock(password)  # a key under another is lost easily
    home.lock()
    return Session(scientist, password, started.pop_all())
