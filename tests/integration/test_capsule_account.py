"""Another account for a capsule: begun bounties end under the old one, and whoever lists it can follow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from capsule import cli
from capsule.home.witness import VARIABLE
from capsule.wiring import open_capsule
from mine.consent import Policy
from pysonar.capsules.answers import Place
from pysonar.capsules.client import Asker, HttpCapsule
from pysonar.capsules.members import Wanted, cover_of
from pysonar.capsules.panel import Panel
from sonar.chain.signatures import sign_digest
from sonar.cli import app as sonar_app
from sonar.errors import CapsuleFault, ConfigError, ManifestError
from sonar.home import keystore
from sonar.home.settings import CapsuleConfig, NetworkConfig
from sonar.manifests.capsule import FunctionalAnswer, Identity, SignedAnswer, Succession, SumAnswer
from sonar.protocol.capsules import answer_digest, succession_digest
from sonar.protocol.ids import Address
from sonar.telling.progress import ListSink
from sonar.telling.terminal import run_app
from sonar.verifying.identity import former, identity_in
from tests.integration.test_capsule_cli import asked, told, weights
from tests.killing_kit import homes_of_killed
from tests.served_kit import Cap, Town, make_home, serving


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "witness"))
    made = Town(tmp_path, 3)
    yield made
    made.close()


def fetched(url: str) -> SignedAnswer:
    return SignedAnswer.from_bytes(httpx.get(f"{url}/v1/identity").content)


class As:
    """A capsule that is asked under another of its accounts."""

    def __init__(self, capsule: Cap, account: Address) -> None:
        self.url, self.address = capsule.url, account


def test_begun_bounties_end_under_the_old_account_and_new_ones_name_the_new(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    where = ["--home", str(home)]
    with serving(home) as capsule:
        old = capsule.address
        posted = town.post([capsule], threshold=1, bits=16)
        assert cli.main(["rotate", "--account", *where]) == 2  # the key must be opened by who serves
        assert "works in" in capsys.readouterr().err
    assert cli.main(["rotate", "--account", "--delete", "1", *where]) == 2
    capsys.readouterr()
    done = told(capsys, "rotate", "--account", *where)
    assert (done["former"], done["epoch"]) == (str(old), 2)
    with serving(home) as capsule:
        new = capsule.address
        assert str(new) == done["address"] != str(old)
        identity = identity_in(fetched(capsule.url), town.network.chain_id, town.network.contract)
        assert (identity.key.account, identity.key.epoch, former(identity)) == (new, 2, (old,))
        town.answer(posted)
        begun = As(capsule, old)
        answer = town.ask(begun, asked(town, posted, 1, 2, 3))  # type: ignore[arg-type]
        assert isinstance(answer, FunctionalAnswer)
        assert answer.capsule == old
        digest = town.fix(posted, 1, weights(town))
        assert isinstance(town.ask(begun, town.sum(posted, 1, digest)), SumAnswer)  # type: ignore[arg-type]
        assert town.refusal(capsule, asked(town, posted, 1, 2, 3)).code == "not-veiled"
        newer = town.post([capsule], threshold=1, bits=16)
        town.answer(newer)
        assert isinstance(town.ask(capsule, asked(town, newer, 1, 2, 3)), FunctionalAnswer)
        assert cli.main(["rotate", "--delete", "1", *where]) == 2
        assert posted.bounty.hex() in capsys.readouterr().err
        assert told(capsys, "rotate", *where)["epoch"] == 3
        assert Identity.from_bytes(fetched(capsule.url).body).key.epoch == 3
    status = told(capsys, "status", *where)
    assert (status["address"], status["former"]) == (str(new), [str(old)])
    assert len(status["bounties"]) == 2


def old_key(home: Path) -> Named:
    return Named(open_capsule(home, ListSink()).keys.public(1).key)


def test_a_bounty_that_names_the_old_account_later_is_not_served(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    told(capsys, "rotate", "--account", "--home", str(home))
    with serving(home) as capsule:
        begun = As(capsule, open_capsule(home, ListSink()).all_accounts[0])
        soon = town.post([old_key(home)], threshold=1)  # its scientist has asked before the change
        town.answer(soon)
        assert isinstance(town.ask(begun, asked(town, soon, 1, 2, 3)), FunctionalAnswer)  # type: ignore[arg-type]
        town.pass_time(3601)
        late = town.post([old_key(home)], threshold=1)
        town.answer(late)
        refusal = town.refusal(begun, asked(town, late, 1, 2, 3))  # type: ignore[arg-type]
        assert (refusal.code, "handed over" in refusal.problem) == ("policy", True)


def test_one_capsule_under_two_accounts_is_not_two_members(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scientist could so have two of three for one: the operator holds all seeds then."""
    home = make_home(town, "capsule")
    told(capsys, "rotate", "--account", "--home", str(home))
    with serving(home) as capsule:
        both = town.post([capsule, old_key(home)], bits=16)
        town.answer(both)
        for account in open_capsule(home, ListSink()).all_accounts:
            one = As(capsule, account)
            refusal = town.refusal(one, asked(town, both, 1, 2, 3))  # type: ignore[arg-type]
            assert (refusal.code, "are one capsule" in refusal.problem) == ("model", True)


class Named:
    def __init__(self, public: Any) -> None:
        self.public = public


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.deep)])
def test_a_command_that_is_killed_leaves_one_account_that_serves(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    home = make_home(town, "capsule")
    old = open_capsule(home, ListSink()).address
    killed, whole = homes_of_killed("capsule", home, tmp_path / "killed", "rotate", "--account", every=every)
    assert len(killed) > 3
    ends = []
    for one in [*killed, whole]:
        monkeypatch.setenv(VARIABLE, str(one.parent / "witness"))
        with serving(one) as capsule:
            told_now = identity_in(fetched(capsule.url), town.network.chain_id, town.network.contract)
            assert told_now.key.account == capsule.address
            assert former(told_now) == ((old,) if capsule.address != old else ())
            ends.append(capsule.address != old)
        assert cli.main(["rotate", "--account", "--home", str(one)]) == 0  # and once more
        assert len(open_capsule(one, ListSink()).all_accounts) == (3 if ends[-1] else 2)
        assert len(keystore.addresses(one / "keystore")) == 1
    assert ends == sorted(ends)
    assert len(set(ends)) == 2


def test_a_password_is_changed_for_former_accounts_too(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    where = ["--home", str(home)]
    old = open_capsule(home, ListSink()).address
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=16)
    told(capsys, "rotate", "--account", *where)
    keystore.write_private(town.folder / "new", b"another\n")
    changed = told(capsys, "password", *where, "--new-password-file", str(town.folder / "new"))
    assert len(changed["files"]) == 2
    with serving(home) as capsule:
        town.answer(posted)
        begun = As(capsule, old)
        assert isinstance(
            town.ask(begun, asked(town, posted, 1, 2, 3)),  # type: ignore[arg-type]
            FunctionalAnswer,
        )


# ---- following


def listing(town: Town, capsule: Cap, account: Address) -> NetworkConfig:
    listed = CapsuleConfig(url=capsule.url, account=account)
    return town.network.model_copy(update={"capsules": (listed,)})


def panel_of(town: Town, network: NetworkConfig) -> Panel:
    market = town.market
    asker = Asker(market.chain_id, market.address, town.scientist, lambda: market.head().timestamp_s)
    return Panel(
        [HttpCapsule(one.account, one.url, asker) for one in network.capsules],
        [HttpCapsule(each, one.url, asker) for one in network.capsules for each in one.formerly],
    )


def sonar(*args: str) -> int:
    return run_app(sonar_app, "sonar", args)


def test_whoever_lists_the_old_account_is_told_both_and_can_follow(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        old = capsule.address
    for _ in range(2):  # twice in a row
        told(capsys, "rotate", "--account", "--home", str(home))
    place, wanted = Place(town.market.chain_id, town.market.address), Wanted((), 1, 16, 2)
    with serving(home) as capsule:
        new = capsule.address
        network = listing(town, capsule, old)
        with pytest.raises(ConfigError, match=f"lists the capsule {old}.*answers {new}") as caught:
            cover_of(panel_of(town, network), place, wanted)
        assert "sonar capsules --follow" in caught.value.hint
        folder = town.folder / "mine"
        folder.mkdir()
        network.save(folder / "network.toml")
        text = f"# 0x{'1' * 40}\n[policy]\nmax_rounds = 7 # seven\n\n[capsules]\n"
        text += f'trusted = ["{old.lower()}"] # two\n'
        (folder / "mine.toml").write_text(text)
        assert sonar("capsules", "--home", str(folder), "--json") == 1
        shown = json.loads(capsys.readouterr().out)
        assert (shown["capsules"][0]["answers"], len(shown["behind"])) == (str(new), 2)
        assert sonar("capsules", "--home", str(folder), "--follow") == 2  # nobody can be asked
        assert "--yes" in capsys.readouterr().err
        assert (folder / "mine.toml").read_text() == text
        assert sonar("capsules", "--home", str(folder), "--follow", "--yes", "--json") == 0
        assert len(json.loads(capsys.readouterr().out)["written"]) == 2
        assert (folder / "mine.toml").read_text() == text.replace(old.lower(), new)
        assert Policy.load(folder).capsules.trusted == (new,)
        followed = NetworkConfig.load(folder / "network.toml")
        (one,) = followed.capsules
        assert (one.account, one.formerly[0], len(one.formerly)) == (new, old, 2)
        assert replace_capsules(followed) == replace_capsules(network)
        assert sonar("capsules", "--home", str(folder)) == 0
        panel = panel_of(town, followed)
        assert panel.accounts == (new,)
        assert panel[old].account == old
        assert [member.account for member in cover_of(panel, place, wanted).members] == [new]
        with pytest.raises(ConfigError, match=str(new)):
            cover_of(panel, place, replace(wanted, accounts=(old,)))
    capsys.readouterr()
    assert sonar("capsules", "--home", str(folder)) == 1
    assert "does not answer" in capsys.readouterr().out


def replace_capsules(network: NetworkConfig) -> NetworkConfig:
    return network.model_copy(update={"capsules": ()})


def test_a_mine_whose_network_s_file_has_followed_follows_too(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home, folder = make_home(town, "capsule"), town.folder / "mine"
    folder.mkdir()
    old = open_capsule(home, ListSink()).address
    told(capsys, "rotate", "--account", "--home", str(home))
    with serving(home) as capsule:
        listing(town, capsule, capsule.address).save(folder / "network.toml")
        (folder / "mine.toml").write_text(f'[capsules]\ntrusted = ["{old}"]\n')
        assert sonar("capsules", "--home", str(folder), "--follow", "--yes") == 0
        assert Policy.load(folder).capsules.trusted == (capsule.address,)


def test_a_successor_that_another_account_signed_is_refused(town: Town, tmp_path: Path) -> None:
    site = town.network.chain_id, town.network.contract
    old, new, thief = (Account.create() for _ in range(3))
    with serving(make_home(town, "capsule")) as capsule:
        told_now = Identity.from_bytes(fetched(capsule.url).body)
    account = Address(old.address)

    def step(first: Any, second: Any, *, where: tuple[int, Address] = site) -> Succession:
        digest = succession_digest(*where, account, Address(new.address))
        return Succession(
            account=account,
            successor=Address(new.address),
            signature=sign_digest(first, digest),
            accepted=sign_digest(second, digest),
        )

    def identity(one: Succession) -> SignedAnswer:
        key = told_now.key.model_copy(update={"account": one.successor})
        body = told_now.model_copy(update={"key": key, "successions": (one,)}).to_bytes()
        return SignedAnswer(body=body, signature=sign_digest(new, answer_digest(*site, body)))

    for wrong in (
        step(thief, new),
        step(new, new),
        step(old, thief),
        step(old, old),
        step(old, new, where=(1, site[1])),
        step(old, new, where=(site[0], account)),
    ):
        with pytest.raises(CapsuleFault, match=r"is not signed by|did not sign"):
            identity_in(identity(wrong), *site)
    with pytest.raises(CapsuleFault, match="did not sign the key"):
        identity_in(identity(step(old, new)), *site)  # all but the key for envelopes is right here
    with pytest.raises(ManifestError, match="successions"):
        identity(step(old, new)).body and Identity.from_bytes(
            told_now.model_copy(update={"successions": (step(old, new),)}).to_bytes()
        )


def test_a_home_that_moves_to_another_network_names_no_former_account_there(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    told(capsys, "rotate", "--account", "--home", str(home))
    now = open_capsule(home, ListSink()).address
    other = town.network.model_copy(update={"contract": Address("0x" + "1" * 40)})
    file = town.folder / "other.toml"
    other.save(file)
    told(capsys, "init", "--home", str(home), "--network", str(file))
    capsule = open_capsule(home, ListSink())
    assert (capsule.all_accounts, capsule.keys.is_ours(capsule.keys.public().key, now)) == ([now], True)


def test_without_the_chain_s_time_nothing_changes(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(town, "capsule")
    before = open_capsule(home, ListSink()).address
    town.network.model_copy(update={"rpc_url": "http://127.0.0.1:9"}).save(home / "network.toml")
    assert cli.main(["rotate", "--account", "--home", str(home)]) == 1
    assert open_capsule(home, ListSink()).all_accounts == [before]
    shutil.rmtree(home / "keystore" / "next", ignore_errors=True)
    assert keystore.addresses(home / "keystore") == [before]


def test_another_capsule_at_the_listed_address_is_not_followed(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    told(capsys, "rotate", "--account", "--home", str(home))
    stranger = Address(Account.create().address)
    with serving(home) as capsule:
        listing(town, capsule, stranger).save(town.network_file)
        file = str(town.network_file)
        before = town.network_file.read_text()
        assert sonar("capsules", "--network", file, "--follow", "--yes") == 1
        assert f"does not say that it followed {stranger}" in capsys.readouterr().out.replace("\n   ", "")
        assert town.network_file.read_text() == before
