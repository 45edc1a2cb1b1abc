"""`sonar`: the commands of the network rather than of a party."""

from __future__ import annotations

from sonar.commands.capsules import capsules
from sonar.commands.chain import chain
from sonar.commands.deploy import deploy
from sonar.commands.fund import fund
from sonar.commands.peer import peer
from sonar.commands.sign import sign
from sonar.commands.status import status
from sonar.commands.swarm_key import swarm_key
from sonar.commands.verify import verify
from sonar.demo.command import demo
from sonar.telling.terminal import new_app, run_app

app = new_app(
    "Train models on data that nobody hands over.\n\n"
    "`sonar demo` shows the whole network on this machine. `mine` is for those who have data, `pysonar` for "
    "those who train.",
    "sonar",
)
app.command()(demo)
app.command()(chain)
app.command()(deploy)
app.command()(status)
app.command()(verify)
app.command()(fund)
app.command()(sign)
app.command()(peer)
app.command()(capsules)
app.add_typer(swarm_key, name="swarm-key")


def main() -> int:
    """Run `sonar` and return its exit code."""
    return run_app(app, "sonar")
