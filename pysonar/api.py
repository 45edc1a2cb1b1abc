"""PySonar in a notebook:

    import pysonar

    with pysonar.connect(embedded=True) as network:           # or network="network.toml"
        bounty = pysonar.Bounty.example("diabetes", rounds=7, cohort=10)
        print(bounty.explain())
        campaign = network.campaign(bounty)
        model = campaign.fit()                                 # runs until the last round is paid
        model.predict(new_patients)

An embedded network is a chain and a store on this machine. It has no mines of its own: start some with
`mine init --network FILE --example diabetes --shard 1/10` and `mine run --join-all`, FILE being
`network.network_file`.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from types import TracebackType

from pysonar.bounty import Bounty
from pysonar.campaign import Campaign
from pysonar.embedded import EmbeddedNetwork
from pysonar.keys import Key
from pysonar.model import LinearModel
from pysonar.views import PlainTold
from pysonar.wiring import ROLE, Scientist, make_home
from sonar import keystore
from sonar.amounts import parse_wei
from sonar.chain.faucet import fund
from sonar.errors import ConfigError
from sonar.home import Home, default_home
from sonar.progress import Progress, Sink
from sonar.settings import NetworkConfig

__all__ = ["Bounty", "Campaign", "Key", "LinearModel", "Session", "connect"]

_EMBEDDED_GIFT = "1000 ether"


class Session:
    """A scientist's home, open and connected; a context manager. Made by `connect`.

    It holds the home's lock, so that no other program works there at the same time, until `close`.
    """

    def __init__(self, scientist: Scientist, password: str, chain: EmbeddedNetwork | None = None) -> None:
        self._scientist, self._password, self._chain = scientist, password, chain
        self._campaigns: dict[str, Campaign] = {}

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
        """What the account holds on the chain, in wei."""
        return self._scientist.market.ether(self._scientist.address)

    def fund(self, amount: str = "10 ether") -> int:
        """Ask a development network's faucet for `amount`; return the new balance in wei."""
        fund(self.network, self.address, parse_wei(amount))
        return self.balance_wei

    def campaign(self, bounty: Bounty | str) -> Campaign:
        """Return the campaign of a bounty, or of the name of one that was started here. Nothing is sent yet.

        The same bounty gives the same campaign, also after a restart: it goes on where it was.
        """
        asked = self._scientist.shelf.take(bounty) if isinstance(bounty, str) else bounty
        name = asked.settings.name
        known = self._campaigns.get(name)
        if known is None or known.bounty.digest != asked.digest:
            self._campaigns[name] = known = self._scientist.campaign(asked, self._password)
        return known

    def campaigns(self) -> list[str]:
        """Return the names of the bounties that were started here."""
        return self._scientist.shelf.names()

    def close(self) -> None:
        """Let the home go, and end the embedded network if there is one."""
        self._scientist.home.unlock()
        if self._chain is not None:
            self._chain.stop()

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
    embedded: bool = False,
    password: str | None = None,
    progress: Sink | None = None,
) -> Session:
    """Open a scientist's home, made if it is new, and connect to its network.

    `network` names a network file, needed once per home. `embedded` starts a chain and a store on this
    machine, which end with the session, and gives the account ether of that chain; without `home`,
    everything is in a new temporary folder. `password` defaults to SONAR_PASSWORD or a question. `progress`
    defaults to lines on standard error. Raises ConfigError, KeyFileError, HomeLocked, ChainUnavailable.
    """
    if not embedded:
        path = Path(home) if home is not None else default_home(ROLE)
        return _open(path, Path(network) if network is not None else None, password, progress, None)
    if network is not None:
        raise ConfigError("network", "is made for you with embedded=True", hint="give one of the two")
    folder = Path(tempfile.mkdtemp(prefix="sonar-"))
    if home is None:
        password = password or secrets.token_urlsafe(24)
    chain = EmbeddedNetwork(folder / "chain")
    try:
        path = folder / ROLE if home is None else Path(home)
        session = _open(path, chain.network_file, password, progress, chain)
        session.fund(_EMBEDDED_GIFT)
    except BaseException:
        chain.stop()
        raise
    return session


def _open(
    path: Path,
    network: Path | None,
    password: str | None,
    progress: Sink | None,
    chain: EmbeddedNetwork | None,
) -> Session:
    dev = NetworkConfig.load(network or path / "network.toml").dev
    password = password if password is not None else keystore.read_password()
    made = make_home(path, network, dev=dev, password=password)
    home = Home(made, ROLE).lock()
    return Session(Scientist(home, Progress(progress or PlainTold(), ROLE)), password, chain)
