"""The capsule's commands, as a user types them, and the program as a process: killed, restarted, rotated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from capsule import cli
from capsule.auditing import fetch_from
from capsule.home.witness import VARIABLE
from capsule.wiring import open_capsule
from sonar.home.settings import CapsuleConfig, NetworkConfig
from sonar.manifests.capsule import FunctionalAnswer, FunctionalRequest, SumAnswer
from sonar.protocol.ids import Address
from sonar.telling import documents
from sonar.telling.documents import CapsuleReady
from sonar.telling.progress import ListSink
from sonar.veil.functionals import spread
from tests.served_kit import Cap, Town, make_home
from tests.town_kit import Posted


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "witness"))
    made = Town(tmp_path, 3)
    yield made
    made.close()


@dataclass
class Running:
    """A `capsule run` in a process of its own."""

    process: subprocess.Popen[str]
    home: Path
    ready: CapsuleReady

    @property
    def cap(self) -> Cap:
        party = open_capsule(self.home, ListSink())
        return Cap(party, None, self.ready.url)  # type: ignore[arg-type]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running(home: Path) -> Iterator[Running]:
    command = [sys.executable, "-m", "capsule", "run", "--home", str(home)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("ready"):
                yield Running(process, home, documents.read(CapsuleReady, line))
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def told(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    """What a command prints with --json."""
    assert cli.main([*args, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def asked(town: Town, posted: Posted, *values: int, number: int = 1) -> FunctionalRequest:
    mine = town.mines[0].address
    return town.functional(posted, number, [(mine, 8, 0)], [spread(posted.plan, values)])


def weights(town: Town) -> dict[Address, int]:
    return {mine.address: 20 for mine in town.mines}


def test_a_capsule_from_init_to_audit(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(town, "capsule")
    where = ["--home", str(home)]
    again = told(capsys, "init", *where, "--network", str(town.network_file))
    assert again["address"] == str(open_capsule(home, ListSink()).address)
    with running(home) as found:
        capsule = found.cap
        assert (found.ready.address, found.ready.listed) == (capsule.address, False)
        posted = town.post([capsule], threshold=1, bits=16)
        town.answer(posted)
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 2, 3)), FunctionalAnswer)
        digest = town.fix(posted, 1, weights(town))
        assert isinstance(town.ask(capsule, town.sum(posted, 1, digest)), SumAnswer)
        kept = open_capsule(home, ListSink()).ledger.answers(posted.bounty)[0]
        fetch = fetch_from(found.ready.url)
        assert (fetch(kept.request), fetch(b"x" * 32)) == (kept.signed, b"")
        status = told(capsys, "status", *where)
        assert status["running"]
        assert (status["bits"], status["sums"], status["epochs"]) == (8, 1, [1])
        (served,) = status["bounties"]
        assert (served["bounty"], served["bits"], served["open"]) == ("0x" + posted.bounty.hex(), 8, True)
        listed = CapsuleConfig(url=found.ready.url, account=capsule.address)
        town.network.model_copy(update={"capsules": (listed,)}).save(town.network_file)
        assert NetworkConfig.load(town.network_file).capsules == (listed,)
        assert told(capsys, "doctor", *where, code=1)["ok"] is False  # this home's file is older
        assert cli.main(["run", *where]) == 2  # another process works there
        capsys.readouterr()
    assert fetch(kept.request) is None  # nobody serves there now
    told(capsys, "init", *where, "--network", str(town.network_file))
    with running(home) as found:
        listed = CapsuleConfig(url=found.ready.url, account=capsule.address)
        town.network.model_copy(update={"capsules": (listed,)}).save(home / "network.toml")
        examined = told(capsys, "doctor", *where)
        assert examined["ok"], examined
        assert [check["name"] for check in examined["checks"]][-2:] == ["listed", "url"]
    assert cli.main(["init", *where]) == 0
    assert "adds to its file" not in capsys.readouterr().out  # it is listed already, and twice is a fault
    signed = told(capsys, "audit", posted.bounty.hex()[:8], *where)
    assert [line["kind"] for line in signed["answers"]] == ["functional", "sum"]
    assert signed["bits"] == {str(town.mines[0].address): 8}
    for command in (
        ["status"],
        ["audit", posted.bounty.hex()[:8]],
        ["audit", posted.bounty.hex(), "--wide"],
        ["audit", posted.bounty.hex(), "--again"],
    ):
        assert cli.main([*command, *where]) == 0
    text = capsys.readouterr().out
    assert str(capsule.address) in text
    assert posted.bounty.hex()[:4] in text
    assert cli.main(["audit", "0x99", *where]) == 2


@pytest.mark.slow
def test_kill_9_loses_no_answer_and_tells_no_bit_twice(town: Town) -> None:
    home = make_home(town, "capsule")
    with running(home) as found:
        posted = town.post([found.cap], threshold=1, bits=16)
        town.answer(posted)
        first = town.ask(found.cap, asked(town, posted, 1, 2, 3))
        found.kill()
    with running(home) as found:
        assert town.ask(found.cap, asked(town, posted, 1, 2, 3)) == first
        assert isinstance(town.ask(found.cap, asked(town, posted, 3, 2, 1)), FunctionalAnswer)
        assert town.refusal(found.cap, asked(town, posted, 2, 2, 2)).code == "budget"
        found.kill()
    with running(home) as found:
        assert town.refusal(found.cap, asked(town, posted, 2, 2, 2)).code == "budget"


def test_what_is_wrong_is_told_with_what_to_do(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(town, "capsule")
    where = ["--home", str(home)]
    for args, words in (
        (["init", *where, "--url", "ftp://x"], "--url"),
        (["run", *where, "--listen", "here"], "--listen"),
        (["run", "--home", str(town.folder / "none")], "capsule init"),
        (["status", "--home", str(town.folder / "none")], "capsule init"),
    ):
        assert cli.main(args) == 2
        assert words in capsys.readouterr().err
    other = town.network.model_copy(update={"code_hash": b"\1" * 32})
    other.save(home / "network.toml")
    assert cli.main(["run", *where, "--listen", "127.0.0.1:0"]) == 1
    assert "code hash" in capsys.readouterr().err
    town.network.save(home / "network.toml")
    os.remove(next((home / "keys").iterdir()))
    assert cli.main(["run", *where, "--listen", "127.0.0.1:0"]) == 2
    assert "capsule init" in capsys.readouterr().err
    told(capsys, "init", *where, "--password-file", str(home / "password"))
    assert open_capsule(home, ListSink()).keys.epochs() == [1]


def test_a_home_that_moves_to_another_network_gets_a_key_for_it(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    before = open_capsule(home, ListSink()).keys.public()
    other = town.network.model_copy(update={"contract": Address("0x" + "1" * 40)})
    file = town.folder / "other.toml"
    other.save(file)
    told(capsys, "init", "--home", str(home), "--network", str(file))
    capsule = open_capsule(home, ListSink())
    assert capsule.keys.epochs() == [1, 2]
    assert capsule.keys.is_ours(capsule.keys.public().key, capsule.address)
    assert not capsule.keys.is_ours(before.key, capsule.address)
