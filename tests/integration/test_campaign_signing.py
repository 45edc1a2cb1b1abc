"""A bounty with a settler, on the real contract: signed in time it ends as any other, unsigned Overdue."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from pysonar.campaign.lifecycle import Campaign
from pysonar.campaign.signing import SignatureFiles, Signing
from sonar.chain.contract.calls import Call
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.cli import app
from sonar.home import keystore
from sonar.home.journal import Journal
from sonar.home.settlement import Settlement, read_settlement, write_signature
from sonar.protocol.events import BountyClosed, MinePaid, RoundSettled
from sonar.protocol.ids import Address, parse_bytes32
from sonar.protocol.phase import CloseReason
from sonar.telling.progress import Done, Problem, Progress, Waiting
from sonar.telling.terminal import run_app
from tests.chain_kit import Killed, wish
from tests.integration.campaign_kit import World

TEST_SETTLER = bytes.fromhex((Path(__file__).parents[1] / "tokens/TestSettler.hex").read_text())


class SignedWorld(World):
    """A world whose bounty names a settler; `act` is called, in its turn, with each request's path."""

    signer: LocalAccount
    signing: Signing
    act: Callable[[Path], object] = staticmethod(lambda _path: None)

    def __init__(self, folder: Path, settler: Address | None = None, **more: Any) -> None:
        self.signer = Account.create()
        named = settler or Address(self.signer.address)
        super().__init__(folder, settings={"rounds": 2, "settler": named}, **more)
        self.requests = folder / "settlements"
        self.signing = SignatureFiles(self.requests, "diabetes", self.market, Progress(self.sink))

    def let_mines_act(self, campaign: Campaign) -> None:
        super().let_mines_act(campaign)
        for path in sorted(self.requests.glob("*.json")):
            self.act(path)

    def problems(self) -> list[str]:
        return [event.error for event in self.sink.events if isinstance(event, Problem)]

    def sent(self, campaign: Campaign, number: int = 1) -> bool:
        """Whether a settlement was ever signed and saved, which comes before it is sent."""
        assert campaign.id is not None
        intent = Intent.of_round(Action.SETTLE, campaign.id, number)
        return intent.key in Journal(self.folder / "pysonar.sqlite")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[World, Path], None]:
    """`sonar sign` of the world's signer, as its user types it."""
    monkeypatch.setenv("SONAR_PASSWORD", "pass")

    def sign(world: World, path: Path) -> None:
        assert isinstance(world, SignedWorld)
        home = tmp_path / "settler"
        if not home.exists():
            keystore.save(home / "keystore", world.signer, "pass", dev=True)
        if not path.with_suffix(".signature").exists():
            assert run_app(app, "sonar", ["sign", str(path), "--home", str(home), "--yes"]) == 0

    return sign


def payments(world: World) -> list[tuple[int, str, int, int, int]]:
    events = world.events(MinePaid)
    return [(e.round, e.mine, e.share_bps, e.fee_units, e.reward_units) for e in events]


def same_end(world: World, campaign: Campaign, other: World, its: Campaign) -> None:
    assert campaign.model.weights.tolist() == its.model.weights.tolist()
    assert [line["loss"] for line in campaign.history()] == [line["loss"] for line in its.history()]
    assert payments(world) == payments(other)
    assert len(world.events(RoundSettled)) == 2
    world.check_money()


def unsigned(folder: Path) -> tuple[World, Campaign]:
    world = World(folder, settings={"rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    return world, campaign


def test_signed_by_the_command_it_ends_as_without_a_settler(
    tmp_path: Path, command: Callable[[World, Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    other, its = unsigned(tmp_path / "none")
    world = SignedWorld(tmp_path / "signed", accounts=other.accounts)
    world.act = lambda path: command(world, path)
    campaign = world.campaign()
    world.run(campaign)
    same_end(world, campaign, other, its)
    assert world.problems() == []
    settled = world.events(RoundSettled)[0]
    told = read_settlement(world.requests / "diabetes-1.json")
    assert (told.new_loss, told.settler) == (settled.new_loss, str(world.signer.address))
    shares = {e.mine: e.share_bps for e in world.events(MinePaid) if e.round == 1}
    assert {award.mine: award.share_bps for award in told.awards} == shares
    shown = capsys.readouterr().out
    assert f"{told.new_loss / 10_000:.4f}% of the null model's" in shown
    assert all(f"{mine}  {bps / 100:.2f}%" in shown for mine, bps in shares.items())


def test_without_a_signature_nothing_is_sent_and_the_bounty_is_overdue(tmp_path: Path) -> None:
    world, told = SignedWorld(tmp_path), set()
    campaign = world.campaign()
    for _ in range(500):
        result = campaign.tick()
        if isinstance(result, Done):
            break
        told.add(result.what)
        world.let_mines_act(campaign)
        world.move()
    request = world.requests / "diabetes-1.json"
    assert f"the signature of the settler {world.signer.address} of round 1: {request}" in told
    assert not world.sent(campaign)
    assert [line["ended"] for line in campaign.history()] == ["overdue"]
    assert world.events(BountyClosed)[0].reason is CloseReason.OVERDUE
    world.check_money()


def test_wrong_signatures_are_told_once_each_and_the_right_one_is_taken(
    tmp_path: Path, command: Callable[[World, Path], None]
) -> None:
    world = SignedWorld(tmp_path / "world")
    campaign = world.campaign()
    world.run_until(campaign, lambda: (world.requests / "diabetes-1.json").exists())
    request = world.requests / "diabetes-1.json"
    file = request.with_suffix(".signature")
    digest: Any = parse_bytes32(read_settlement(request).digest, "digest")
    other, good = (bytes(one.unsafe_sign_hash(digest).signature) for one in (Account.create(), world.signer))
    for content, problem in (
        (b"no hex", "'no hex' is not a signature"),
        (b"0x" + b"00" * 40_000, "has more than 32784 bytes"),
        (b"0x", "has 65 bytes, not 0"),
        (b"0x" + good[:64].hex().encode() + b"00", "v must be 27 or 28"),
        (b"0x" + other.hex().encode(), f"or {world.signer.address} signed something else"),
        (b"0x" + b"ff" * 31 + b"00" * 33 + b"1b", "nobody signed this"),
    ):
        file.write_bytes(content)
        for _ in range(3):
            waiting = campaign.tick()
            assert isinstance(waiting, Waiting)
            assert waiting.what.startswith("the signature of the settler")
        assert problem in world.problems()[-1]
        assert str(file) in world.problems()[-1]
        assert world.problems().count(world.problems()[-1]) == 1
    assert not world.sent(campaign)
    file.unlink()
    world.act = lambda path: command(world, path)
    world.run(campaign)
    assert len(world.events(RoundSettled)) == 2
    world.check_money()


class Dying:
    """A part that is killed before and after a method's first calls, each time it is about something new."""

    def __init__(self, part: Any, method: str, reached: set[str]) -> None:
        self._part, self._method, self._reached = part, method, reached

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def deadly(*args: Any) -> Any:
            self._at(f"before {name} {args[0]}")
            result = real(*args)
            self._at(f"after {name} {args[0]} {result}")
            return result

        return deadly

    def _at(self, boundary: str) -> None:
        if boundary not in self._reached:
            self._reached.add(boundary)
            raise Killed(boundary)


def test_a_kill_between_request_signature_and_settlement(
    tmp_path: Path, command: Callable[[World, Path], None]
) -> None:
    other, its = unsigned(tmp_path / "none")
    world = SignedWorld(tmp_path / "killed", accounts=other.accounts)
    requests: dict[str, set[bytes]] = {}

    def act(path: Path) -> None:
        requests.setdefault(path.name, set()).add(path.read_bytes())
        command(world, path)

    world.act, reached = act, set[str]()
    for _ in range(100):
        world.signing = Dying(
            SignatureFiles(world.requests, "diabetes", world.market, Progress(world.sink)),
            "signature",
            reached,
        )
        campaign = world.campaign(
            lambda part, name: Dying(part, "submit", reached) if name == "outbox" else part
        )
        try:
            world.run(campaign)
            break
        except Killed:
            continue
    same_end(world, campaign, other, its)
    assert sum(boundary.startswith("before signature") for boundary in reached) == 2
    assert sum(boundary.startswith("after signature") for boundary in reached) == 4  # none yet, and there
    assert all(len(contents) == 1 for contents in requests.values())


def contract_of(world: World, owner: LocalAccount) -> Address:
    """Put a settler on the chain that takes its owner's signature."""
    outbox = Outbox(world.market, world.deployer, Journal(world.folder / "d.sqlite"), sleep=lambda _s: None)
    code = TEST_SETTLER + encode(("uint8", "address"), (0, owner.address))
    settler = outbox.perform(wish("settler"), Call(None, code, 0, "deploy")).contract
    assert settler is not None
    return settler


def name_contract(world: SignedWorld) -> None:
    """Have the bounty name a contract that is on this chain already."""
    settler = contract_of(world, world.signer)
    settings = world.bounty.settings.model_copy(update={"settler": settler})
    world.bounty = type(world.bounty)(settings, world.bounty.held_out, world.bounty.start)


def test_a_contract_settles_by_the_signature_that_it_takes(tmp_path: Path) -> None:
    world = SignedWorld(tmp_path)
    name_contract(world)

    def act(path: Path) -> None:
        digest: Any = parse_bytes32(read_settlement(path).digest, "digest")
        good = bytes(world.signer.unsafe_sign_hash(digest).signature)
        wrong = not world.problems()
        write_signature(path.with_suffix(".signature"), secrets.token_bytes(65) if wrong else good)

    world.act = act
    world.run(world.campaign())
    assert len(world.events(RoundSettled)) == 2
    [problem] = world.problems()
    assert "does not accept this signature for this settlement" in problem
    world.check_money()


class Mistaken:
    """Takes anything for the settler's signature."""

    def signature(self, settlement: Settlement) -> bytes | None:
        return b"\x01" * 65

    def place(self, settlement: Settlement) -> str:
        return "nowhere"


def test_a_settler_that_takes_its_word_back_costs_no_gas(tmp_path: Path) -> None:
    world = SignedWorld(tmp_path)
    name_contract(world)
    world.signing = Mistaken()
    campaign = world.campaign()
    world.run(campaign)
    assert not world.sent(campaign)
    assert len(world.problems()) == 1
    assert "has not signed this settlement" in world.problems()[0]
    assert [line["ended"] for line in campaign.history()] == ["overdue"]
