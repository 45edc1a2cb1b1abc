"""New epochs of a capsule's keys: while it serves, twice, killed, restored; and old ones that are deleted."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capsule import cli
from capsule.home.witness import VARIABLE
from capsule.keeping import Keeping
from capsule.wiring import open_capsule
from mine.work.veil import check_epochs
from sonar.errors import ConsentError
from sonar.manifests.capsule import FunctionalAnswer, Identity, SignedAnswer
from sonar.manifests.model import CapsuleKey, VeilCover
from sonar.telling.progress import ListSink
from tests.integration.test_capsule_cli import asked, running, told
from tests.killing_kit import homes_of_killed
from tests.served_kit import Cap, Town, make_home, serving


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "witness"))
    made = Town(tmp_path, 3)
    yield made
    made.close()


def named_by(url: str) -> CapsuleKey:
    """The key that a new bounty would name."""
    signed = SignedAnswer.from_bytes(httpx.get(f"{url}/v1/identity").content)
    return Identity.from_bytes(signed.body).key


def forget_soon(home: Path) -> None:
    policy = home / "capsule.toml"
    policy.write_text(policy.read_text().replace("# retention_days = 30", "retention_days = 0"))


@pytest.mark.slow
def test_a_capsule_that_serves_takes_up_a_new_epoch_with_its_next_request(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    where = ["--home", str(home)]
    with running(home) as found:
        posted = town.post([found.cap], threshold=1, rounds=1, reward_units=0, fee_units=0)
        assert named_by(found.ready.url).epoch == 1
        rotated = told(capsys, "rotate", *where)
        assert (rotated["epoch"], rotated["kept"], rotated["deleted"]) == (2, [1], [])
        assert rotated["running"]
        assert told(capsys, "rotate", *where)["epoch"] == 3  # twice in a row
        assert named_by(found.ready.url).epoch == 3
        town.answer(posted)  # sealed for epoch 1
        assert isinstance(town.ask(found.cap, asked(town, posted, 1, 2, 3)), FunctionalAnswer)
        newer = town.post([found.cap], threshold=1)
        town.answer(newer)  # sealed for epoch 3
        assert isinstance(town.ask(found.cap, asked(town, newer, 1, 2, 3)), FunctionalAnswer)
        refused(
            capsys, ["rotate", "--delete", "1", *where], f"needed by the open bounty 0x{posted.bounty.hex()}"
        )
        refused(capsys, ["rotate", "--delete", "3", *where], "epoch 3 is in use")
        refused(capsys, ["rotate", "--delete", "9", *where], "no key of epoch 9")
        deleted = told(capsys, "rotate", "--delete", "2", *where)
        assert (deleted["epoch"], deleted["kept"], deleted["deleted"]) == (3, [1], [2])
        town.settle(posted, 1)
        assert told(capsys, "rotate", "--delete", "1", *where)["kept"] == []
        refusal = town.refusal(found.cap, asked(town, posted, 3, 2, 1))
        assert (refusal.code, "epoch 1" in refusal.problem) == ("model", True)
        found.kill()
    with running(home) as found:
        assert isinstance(town.ask(found.cap, asked(town, newer, 3, 2, 1)), FunctionalAnswer)
        assert open_capsule(home, ListSink()).ledger.blind_until_s == 0  # it was killed, and not restored


def refused(capsys: pytest.CaptureFixture[str], args: list[str], words: str) -> None:
    assert cli.main(args) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_no_request_is_lost_while_epochs_begin(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(town, "capsule")
    with running(home) as found:
        posted = town.post([found.cap], threshold=1, bits=512)
        town.answer(posted)
        stop, seen = threading.Event(), list[int]()
        faults: list[object] = []

        def ask_on(capsule: Cap, url: str) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                answer = town.ask(capsule, asked(town, posted, 1, 2, number % 60))
                seen.append(named_by(url).epoch)
                if not isinstance(answer, FunctionalAnswer):
                    faults.append(answer)

        thread = threading.Thread(target=ask_on, args=(found.cap, found.ready.url))
        thread.start()
        for epoch in range(2, 7):
            assert told(capsys, "rotate", "--home", str(home))["epoch"] == epoch
            assert named_by(found.ready.url).epoch == epoch
        stop.set()
        thread.join(30)
    assert faults == []
    assert seen == sorted(seen)
    assert len(seen) >= 5


def test_a_command_that_is_killed_leaves_the_old_epoch_or_the_new_one(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(town, "capsule")
    killed, whole = homes_of_killed("capsule", home, tmp_path / "killed", "rotate")
    assert len(killed) >= 4
    found = set()
    for one in [*killed, whole]:
        monkeypatch.setenv(VARIABLE, str(one.parent / "witness"))
        capsule = open_capsule(one, ListSink())
        account = capsule.unlock(capsule.password(None))
        opened = capsule.keys.load(account)
        found.add(max(opened))
        assert list(opened) == capsule.keys.epochs() == list(range(1, max(opened) + 1))
        with serving(one) as served:
            assert named_by(served.url).epoch == max(opened)
            assert cli.main(["rotate", "--home", str(one)]) == 0
            assert named_by(served.url).epoch == max(opened) + 1
        assert not list((one / "keys").glob(".*"))[1:]  # of a killed one at most, sealed as the others are
    assert found == {1, 2}


def test_an_older_backup_is_noticed_and_its_next_epoch_is_newer_than_the_one_that_is_lost(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home, backup = make_home(town, "capsule"), town.folder / "backup"
    where = ["--home", str(home)]
    with serving(home):
        pass
    shutil.copytree(home, backup)
    with serving(home) as capsule:
        assert told(capsys, "rotate", *where)["epoch"] == 2
        lost = named_by(capsule.url)
        assert lost.epoch == 2
    shutil.rmtree(home)
    shutil.copytree(backup, home)
    with serving(home) as capsule:
        assert capsule.party.ledger.blind_until_s > 0  # though nothing was told since but the key
        seen = {str(lost.account): lost.epoch}
        with pytest.raises(ConsentError, match="which it has replaced"):
            check_epochs(cover(named_by(capsule.url)), seen)  # a mine that has seen the key that is lost
        assert told(capsys, "rotate", *where)["epoch"] > 1_700_000_000
        again = named_by(capsule.url)
        check_epochs(cover(again), seen)
        assert told(capsys, "rotate", *where)["epoch"] == again.epoch + 1
        assert told(capsys, "rotate", "--delete", str(again.epoch), *where)["kept"] == [1]


def cover(key: CapsuleKey) -> VeilCover:
    return VeilCover(threshold=1, members=(key,), bits=8)


def test_a_rotation_before_the_restored_capsule_was_started_is_numbered_so_too(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home, backup = make_home(town, "capsule"), town.folder / "backup"
    shutil.copytree(home, backup)
    assert told(capsys, "rotate", "--home", str(home))["epoch"] == 2  # nobody serves
    assert told(capsys, "rotate", "--home", str(backup))["epoch"] > 1_700_000_000
    (town.folder / "witness").rename(town.folder / "rebooted")
    assert told(capsys, "rotate", "--home", str(home))["epoch"] > 1_700_000_000


def test_a_new_key_that_does_not_open_stops_nothing(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        (home / "keys" / "2.epoch").write_bytes(b"junk")
        assert named_by(capsule.url).epoch == 1
        assert "epoch 2 is passed over" in caplog.text


def test_a_rotation_without_the_chain_s_node_has_begun_an_epoch(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    town.network.model_copy(update={"rpc_url": "http://127.0.0.1:9"}).save(home / "network.toml")
    assert cli.main(["rotate", "--home", str(home)]) == 0
    assert "old keys are kept" in capsys.readouterr().err
    assert open_capsule(home, ListSink()).keys.epochs() == [1, 2]


def test_a_bounty_that_names_a_key_by_a_false_signature_keeps_nothing(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        first = capsule.public
        told(capsys, "rotate", "--home", str(home))
        town.post([Named(first.model_copy(update={"signature": b"\1" * 65}))], threshold=1)
        assert told(capsys, "rotate", "--delete", "1", "--home", str(home))["deleted"] == [1]


class Named:
    def __init__(self, public: CapsuleKey) -> None:
        self.public = public


def test_a_key_that_is_deleted_while_the_capsule_serves_is_gone_from_its_memory(town: Town) -> None:
    home = make_home(town, "capsule")
    policy = home / "capsule.toml"
    policy.write_text(policy.read_text().replace("# retention_days = 30", "retention_days = 0"))
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, rounds=1, reward_units=0, fee_units=0)
        town.answer(posted)
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 2, 3)), FunctionalAnswer)
        party, means = capsule.party, capsule.means
        party.keys.add(means.account, 1)
        swept(capsule)
        assert party.keys.epochs() == [1, 2]  # the bounty is open
        town.settle(posted, 1)
        swept(capsule)
        assert party.keys.epochs() == [2]
        assert 1 not in means.epochs
        (served,) = party.ledger.bounties()
        assert served.closed_s
        assert town.refusal(capsule, asked(town, posted, 3, 2, 1)).code == "model"
        party.keys.add(means.account, 2)
        town.post([])  # names no key of ours
        (town.store.path / "blocks").rename(town.folder / "blocks")
        swept(capsule)
        assert party.keys.epochs() == [2, 3]  # nobody can tell what the open bounty names
        (town.folder / "blocks").rename(town.store.path / "blocks")
        swept(capsule)
        assert party.keys.epochs() == [3]


def swept(capsule: Cap) -> None:
    """What a capsule that serves does each hour."""
    keeping = Keeping(capsule.party, capsule.service.look)
    keeping.stop()
    keeping.start()
    keeping.join(20)
    assert not keeping.is_alive()
