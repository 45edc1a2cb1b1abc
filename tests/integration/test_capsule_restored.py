"""A ledger that is older than what was told: from a backup, after a reboot, or used twice at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from capsule.auditing import fetch_from
from capsule.home.ledger import Ledger
from capsule.home.places import LEDGER_FILE
from capsule.home.witness import VARIABLE
from sonar.manifests.capsule import FunctionalAnswer, FunctionalRequest, SumAnswer
from sonar.protocol.ids import Address, digest_of
from sonar.veil.functionals import spread
from tests.served_kit import Town, make_home, serving
from tests.town_kit import Posted

BITS = 20


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "witness"))
    made = Town(tmp_path, 3)
    yield made
    made.close()


def asked(town: Town, posted: Posted, number: int, *values: int) -> FunctionalRequest:
    mine = town.mines[0].address
    return town.functional(posted, number, [(mine, BITS, 0)], [spread(posted.plan, values)])


def weights(town: Town) -> dict[Address, int]:
    return {mine.address: 20 for mine in town.mines}


def test_a_restored_ledger_tells_no_bit_more_of_a_round_and_all_of_the_next(town: Town) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=BITS)
        town.answer(posted)
    backup = town.folder / "backup"
    shutil.copytree(home, backup)
    with serving(home) as capsule:
        first = town.ask(capsule, asked(town, posted, 1, 1, 2, 3))
        assert isinstance(first, FunctionalAnswer)
        assert town.refusal(capsule, asked(town, posted, 1, 3, 2, 1)).code == "budget"
    shutil.rmtree(home)
    backup.rename(home)  # the whole home as it was, its forgetful ledger in it
    with serving(home) as capsule:
        assert capsule.party.ledger.bits_of(posted.bounty) == {}
        request = asked(town, posted, 1, 3, 2, 1)
        peer = fetch_from(capsule.url)
        assert peer(digest_of(request.to_bytes())) == b""  # nobody has asked it
        refusal = town.refusal(capsule, request)
        assert refusal.code == "restored"
        assert peer(digest_of(request.to_bytes())) is None  # it was asked, and cannot tell
        digest = town.fix(posted, 1, weights(town))
        assert isinstance(town.ask(capsule, town.sum(posted, 1, digest)), SumAnswer)
        town.pass_time(2)  # the next round begins after the second of the restore
        town.settle(posted, 1)
        town.answer(posted, 2)
        assert isinstance(town.ask(capsule, asked(town, posted, 2, 3, 2, 1)), FunctionalAnswer)
        assert town.refusal(capsule, asked(town, posted, 2, 1, 1, 1)).code == "budget"


def test_what_sums_were_opened_is_known_after_a_restore(town: Town) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1)
        shutil.copytree(home, town.folder / "backup")
        town.answer(posted)
        digest = town.fix(posted, 1, weights(town))
        assert isinstance(town.ask(capsule, town.sum(posted, 1, digest)), SumAnswer)
        town.settle(posted, 1)
    shutil.rmtree(home)
    (town.folder / "backup").rename(home)
    with serving(home) as capsule:
        town.answer(posted, 2)
        two = {mine.address: 20 for mine in town.mines[:2]}
        digest = town.fix(posted, 2, two)
        refusal = town.refusal(capsule, town.sum(posted, 2, digest))
        assert (refusal.code, town.mines[2].address in refusal.problem) == ("cohort", True)


def test_a_reboot_forgets_nothing_but_is_taken_for_a_restore(town: Town) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=BITS)
        town.answer(posted)
        first = town.ask(capsule, asked(town, posted, 1, 1, 2, 3))
        assert isinstance(first, FunctionalAnswer)
    shutil.rmtree(town.folder / "witness")
    with serving(home) as capsule:
        assert town.refusal(capsule, asked(town, posted, 1, 3, 2, 1)).code == "restored"
        assert town.ask(capsule, asked(town, posted, 1, 1, 2, 3)) == first  # it is on record


def test_a_process_that_ended_anyhow_goes_on_where_it_was(town: Town) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=2 * BITS)
        town.answer(posted)
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 1, 2, 3)), FunctionalAnswer)
    with serving(home) as capsule:
        assert capsule.party.ledger.blind_until_s == 0
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 3, 2, 1)), FunctionalAnswer)
        assert town.refusal(capsule, asked(town, posted, 1, 1, 1, 1)).code == "budget"


def test_two_copies_of_a_home_at_once_tell_no_more_than_one(town: Town) -> None:
    home, copy = make_home(town, "capsule"), town.folder / "copy"
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=BITS)
        town.answer(posted)
    shutil.copytree(home, copy)
    with serving(home) as capsule, serving(copy) as twin:
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 1, 2, 3)), FunctionalAnswer)
        assert town.refusal(twin, asked(town, posted, 1, 3, 2, 1)).code == "restored"
        digest = town.fix(posted, 1, weights(town))
        assert isinstance(town.ask(twin, town.sum(posted, 1, digest)), SumAnswer)
        assert town.refusal(twin, asked(town, posted, 1, 3, 2, 1)).code == "restored"
        assert town.refusal(capsule, asked(town, posted, 1, 3, 2, 1)).code == "budget"


def test_a_ledger_that_is_gone_is_a_restored_one(town: Town) -> None:
    home = make_home(town, "capsule")
    with serving(home) as capsule:
        posted = town.post([capsule], threshold=1, bits=BITS)
        town.answer(posted)
        assert isinstance(town.ask(capsule, asked(town, posted, 1, 1, 2, 3)), FunctionalAnswer)
        name = capsule.party.ledger.name
    for path in home.glob(f"{LEDGER_FILE}*"):
        path.unlink()
    with serving(home) as capsule:
        assert capsule.party.ledger.name != name
        assert town.refusal(capsule, asked(town, posted, 1, 3, 2, 1)).code == "restored"
    with Ledger(home / LEDGER_FILE) as ledger:
        assert ledger.blind_until_s > 0
