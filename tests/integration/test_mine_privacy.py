"""A mine's releases on a real chain: drawn once, used for every bounty that asks the same, and counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from mine.data import dataset as data
from mine.privacy.accounts import Privacy
from mine.privacy.ledger import Ledger
from mine.privacy.policy import Budget, PrivacyPolicy
from mine.work import joining
from mine.work.elsewhere import acts_elsewhere
from mine.work.state import Book, Veiled
from mine.work.trainer import Sums
from mine.work.workshop import sums_at
from sonar.chain.contract.calls import transfer
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ConsentError, SonarError
from sonar.families.quadratic.noise import QuadraticNoise
from sonar.home.accounts import AccountBook, Accounts
from sonar.home.journal import Journal
from sonar.manifests.model import VeilCover
from sonar.privacy.accounting import epsilon_of
from sonar.protocol.events import BountyPosted
from sonar.protocol.round import RoundState
from sonar.telling.text import short
from tests.chain_kit import Clock, wish
from tests.integration import mine_kit
from tests.integration.mine_kit import SPEC, World, run, terms, write_csv

NOISE = QuadraticNoise(frac=10, row_max=4096, constant=1024, target_unit=256, deviation=25 << 20)
PRICE = NOISE.price.rho
ONE_AND_A_HALF = Budget(epsilon_of(PRICE * 3 / 2, 1e-5), 1e-5)


def post(world: World, noise: QuadraticNoise | None = NOISE, **changes: Any) -> BountyPosted:
    """Post one more bounty, and return it."""
    world.scientist.family = SPEC.model_copy(update={"noise": noise})
    world.scientist.post(terms(**{"cohort_cap": 2, **changes}))
    return next(one for one in world.market().bounties() if one.bounty == world.scientist.bounty)


class Home:
    """A mine's home as a fresh process finds it."""

    def __init__(self, world: World, index: int = 0, folder: Path | None = None) -> None:
        self.world, self.index = world, index
        self.folder = folder or world.home(index)
        self.book = Book(Journal(self.folder / "journal.sqlite"))
        if not self.book.datasets():
            self.book.register(data.register_csv(self.folder / "data.csv"))
        self.policy = world.policy

    @property
    def sums(self) -> Sums:
        return sums_at(self.folder, self.policy.privacy.ledger_at(self.folder))

    @property
    def privacy(self) -> Privacy:
        return joining.privacy_of(self.book, self.sums, self.policy)

    def join(self, posted: BountyPosted, name: str | None = None) -> str:
        world = self.world
        me = world.address(self.index)
        return joining.join(world.market(), world.store, me, self.policy, self.book, self.sums, posted, name)[
            0
        ].map_digest

    def give(self, budget: Budget | None, name: str = "data") -> None:
        self.privacy.give(name, budget)

    def add(self, name: str, text: str, *, without: tuple[str, ...] = ()) -> None:
        path = self.folder / f"{name}.csv"
        path.write_text(text)
        self.book.register(data.register_csv(path, name, without))

    def gaps(self) -> list[Any]:
        privacy = self.privacy
        elsewhere = acts_elsewhere(self.world.market(), self.world.address(self.index), self.book)
        return [*privacy.memory.missing(privacy.ledger), *elsewhere]

    def accept(self, budget: Budget | None, name: str = "data") -> None:
        dataset = next(one for one in self.book.datasets() if one.name == name)
        self.privacy.declare(dataset, budget, 0, self.gaps())

    @property
    def ledger(self) -> Ledger:
        return self.sums.ledger


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mines=2, quick=False)


def test_the_same_noise_is_free_and_other_parameters_need_budget(world: World) -> None:
    """Three bounties: the second asks the same, the third something else, for which too little is left."""
    home = Home(world)
    home.give(ONE_AND_A_HALF)
    first, second = post(world), post(world, replace_noise(ridge_q32=1 << 40))
    third = post(world, replace_noise(target_unit=255))
    assert home.join(first) != home.join(second)  # another ridge makes other sums of the same noise
    (charge,) = home.ledger.charges()
    assert charge.rho == PRICE
    assert (charge.bounty, charge.rows) == ("0x" + first.bounty.hex(), 30)
    shown = home.ledger.shown()
    assert {one.bounty for one in shown} == {"0x" + one.bounty.hex() for one in (first, second)}
    with pytest.raises(ConsentError) as caught:
        home.join(third)
    told = epsilon_of(2 * PRICE, 1e-5)
    assert f"with this release it would be {told:.4g}" in str(caught.value)
    assert f"{told - ONE_AND_A_HALF.epsilon:.4g} too much" in str(caught.value)
    assert "mine data budget data --epsilon" in caught.value.hint
    assert len(home.ledger.charges()) == 1
    home.give(Budget(told, 1e-5))
    home.join(third)
    assert len(home.ledger.charges()) == 2


def replace_noise(**changes: int) -> QuadraticNoise:
    return NOISE.model_copy(update=changes)


def test_answers_of_all_rounds_and_restarts_are_made_of_one_release(world: World) -> None:
    post(world, rounds=2)
    run([world.node(0), world.node(1)])
    before = Home(world).ledger.charges()
    kept = {path.name: path.read_bytes() for path in world.home(0).glob("sums/*")}
    for path in world.home(0).glob("sums/*"):
        path.unlink()
    world.scientist.settle()
    run([world.node(0), world.node(1)])
    assert world.part(0, 2).state is RoundState.REVEALED
    assert Home(world).ledger.charges() == before
    assert {path.name: path.read_bytes() for path in world.home(0).glob("sums/*")} == kept


def test_a_bounty_without_noise_is_refused_for_data_with_a_budget_alone(world: World) -> None:
    home = Home(world)
    home.add("other", (home.folder / "data.csv").read_text().replace("new", "x"))  # as yet without a budget
    plain = post(world, None)
    assert home.join(plain)
    home.give(Budget(8.0))
    another = post(world, None, rounds=3)
    with pytest.raises(ConsentError, match="adds no noise, and data set 'data' has a budget") as caught:
        home.join(another, "data")
    assert "--unlimited" in caught.value.hint
    with pytest.raises(ConsentError, match="data set 'other' has a budget"):  # the same rows
        home.join(another, "other")
    home.give(None)
    assert home.join(another)
    home.policy = replace(home.policy, privacy=PrivacyPolicy(epsilon=1.0))  # its own says no limit
    assert home.join(post(world, None, rounds=4), "data")
    with pytest.raises(ConsentError, match="data set 'other' has a budget of epsilon 1 at delta 1e-05"):
        home.join(another, "other")


def test_a_round_of_a_bounty_without_noise_stops_when_its_data_get_a_budget(world: World) -> None:
    post(world, None, rounds=2)
    run([world.node(0), world.node(1)])
    world.scientist.settle()
    Home(world).give(Budget(8.0))
    run([world.node(0), world.node(1)])
    assert world.part(0, 2).state is RoundState.IDLE
    assert world.part(1, 2).state is RoundState.COMMITTED
    (refusal,) = world.book(0).refusals()
    assert "adds no noise" in refusal.error


LESS = [
    ("renamed", lambda lines: lines),
    ("sorted", lambda lines: [lines[0], *sorted(lines[1:])]),
    ("extended", lambda lines: [*lines, *(f"{i},{i / 7},x,{i / 3}" for i in range(20))]),
    ("columns renamed", lambda lines: ["a,b,remark,y", *lines[1:]]),
    ("half of it", lambda lines: lines[:16]),
]


@pytest.mark.parametrize(("how", "change"), LESS, ids=[how for how, _ in LESS])
def test_rows_are_recognised_in_another_file(world: World, how: str, change: Any) -> None:
    home = Home(world)
    lines = (home.folder / "data.csv").read_text().splitlines()
    home.add("again", "\n".join(change(lines)) + "\n")
    for name in ("data", "again"):
        home.give(ONE_AND_A_HALF, name)
    home.join(post(world), "data")
    other = post(world, replace_noise(target_unit=200))
    with pytest.raises(ConsentError, match=r"data set 'again'.*too much"):
        home.join(other, "again")
    (world.home(0) / "fresh").mkdir()
    write_csv(world.home(0) / "fresh" / "data.csv", seed=77)
    home.add("fresh", (world.home(0) / "fresh" / "data.csv").read_text())
    home.give(ONE_AND_A_HALF, "fresh")
    home.join(other, "fresh")


def test_the_same_rows_in_another_order_have_the_same_release(world: World) -> None:
    home = Home(world)
    home.give(ONE_AND_A_HALF)
    first = home.join(post(world))
    lines = (home.folder / "data.csv").read_text().splitlines()
    reordered = [",".join(reversed(line.split(","))) for line in [lines[0], *reversed(lines[1:])]]
    home.add("again", "\n".join(reordered) + "\n")
    home.give(ONE_AND_A_HALF, "again")
    assert home.join(post(world, rounds=2), "again") == first
    assert len(home.ledger.charges()) == 1


# ---- what is missing


def copied(world: World, name: str = "copy") -> Home:
    target = world.folder / name
    shutil.copytree(world.home(0), target)
    return Home(world, 0, target)


def test_a_home_that_was_copied_releases_nothing_new_once_the_other_has_acted(world: World) -> None:
    """The copy ran, committed and told its release; the home does not know what that cost."""
    home = Home(world)
    home.give(Budget(50.0))
    first = post(world)
    home.join(first)
    copy = copied(world)
    (world.folder / "mine-0").rename(world.folder / "aside")
    copy.folder.rename(world.folder / "mine-0")
    run([world.node(0), world.node(1)])
    world.home(0).rename(world.folder / "elsewhere")
    (world.folder / "aside").rename(world.folder / "mine-0")
    home, other = Home(world), post(world, replace_noise(target_unit=200))
    assert home.join(first)  # what is there already is free
    with pytest.raises(ConsentError, match=r"transactions that this home does not know.*half the") as caught:
        home.join(other)
    assert "mine data budget data --spent EPSILON" in caught.value.hint
    told = [gap.told for gap in home.gaps()]
    assert len(told) == 2
    assert "has committed in round 1 of bounty" in told[1]
    home.accept(Budget(2.0))
    home.join(other)
    charges = home.ledger.charges()
    assert [charge.why for charge in charges] == ["", "declared: epsilon 2 at delta 1e-05", ""]
    write_csv(home.folder / "more.csv", seed=9)
    home.add("more", (home.folder / "more.csv").read_text())
    with pytest.raises(ConsentError, match="data set 'more'"):  # counted for the one data set alone
        home.join(post(world, replace_noise(target_unit=201)), "more")


def test_a_ledger_that_is_gone_is_missed(world: World) -> None:
    home = Home(world)
    home.join(post(world))
    path = home.ledger.path
    for each in path.parent.glob("privacy.sqlite*"):
        each.unlink()
    with pytest.raises(ConsentError, match="does not have a charge that this home has used"):
        home.join(world.market().bounties()[0])
    home.accept(None)  # nothing was spent that counts
    home.join(world.market().bounties()[0])
    assert len(home.ledger.charges()) == 1


def test_a_ledger_that_was_put_back_from_a_backup_is_noticed_for_ever(world: World) -> None:
    """What it lost counts against each data set, though other charges came since."""
    home = Home(world)
    home.join(post(world))
    backup = Journal(home.ledger.path)
    backup._db.execute("VACUUM INTO ?", (str(world.folder / "backup.sqlite"),))
    backup.close()
    home.join(post(world, replace_noise(target_unit=200)))
    for each in home.folder.glob("privacy.sqlite*"):
        each.unlink()
    shutil.copy(world.folder / "backup.sqlite", home.ledger.path)
    third = post(world, replace_noise(target_unit=201))
    with pytest.raises(ConsentError, match="does not have a charge"):
        home.join(third)
    home.accept(Budget(1.0))
    home.join(third)
    write_csv(home.folder / "more.csv", seed=9)
    home.add("more", (home.folder / "more.csv").read_text())
    with pytest.raises(ConsentError, match=r"data set 'more': .*does not have a charge"):
        home.join(post(world, replace_noise(target_unit=202)), "more")


@pytest.mark.parametrize("junk", [None, {"values": "1,2", "rows": 30}, {"values": 7}, "x"])
def test_noisy_sums_that_are_lost_or_damaged_are_not_drawn_again(world: World, junk: Any) -> None:
    home = Home(world)
    posted = post(world)
    digest = home.join(posted)
    (charge,) = home.ledger.charges()
    with Journal(home.ledger.path) as journal:
        key = f"release/{charge.release}"
        journal.delete(key) if junk is None else journal.put(key, junk)
    with pytest.raises(ConsentError, match=f"are {'lost' if junk is None else 'damaged'}"):
        home.join(posted)
    (joined,) = home.book.joined()
    task = joining.task_of(world.market(), world.store, home.policy, joined)
    with pytest.raises(SonarError, match="noisy sums"):  # nor in a later round, if the kept sums are lost too
        home.sums.make(task, joined.dataset)
    home.accept(None)
    assert home.join(posted) != digest
    assert len(home.ledger.charges()) == 2  # drawn again, and paid again


def test_a_lost_ledger_stops_no_round_of_what_was_joined(world: World) -> None:
    post(world, rounds=2)
    run([world.node(0), world.node(1)])
    world.scientist.settle()
    for each in world.home(0).glob("privacy.sqlite*"):
        each.unlink()
    run([world.node(0), world.node(1)])
    assert world.part(0, 2).state is RoundState.REVEALED


# ---- capsules


def test_bits_are_counted_once_a_round_and_over_all_bounties(world: World) -> None:
    world.veil()
    assert isinstance(world.scientist.cover, VeilCover)
    post(world, None, rounds=3)
    bits = Veiled.of(world.scientist.cover).bits_in_all
    world.policy = replace(world.policy, max_bits_all=2 * bits)
    for round_number in (1, 2):
        run([world.node(0), world.node(1)])
        assert world.part(0, round_number).state is RoundState.REVEALED
        world.scientist.settle()
    home = Home(world)
    dataset = home.book.datasets()[0]
    assert home.privacy.bits(dataset) == 2 * bits
    run([world.node(0), world.node(1)])
    assert world.part(0, 3).state is RoundState.IDLE
    (refusal,) = [one for one in world.book(0).refusals() if one.bounty == world.scientist.bounty]
    assert f"{bits:,} above your limit of {2 * bits:,}" in refusal.error
    assert "policy.max_bits_all" in refusal.hint
    with pytest.raises(ConsentError, match=f"{2 * bits:,} bits may have been told"):
        home.join(post(world, None, rounds=2))


THREE = {"cohort_cap": 3, "min_mines": 3}
SHARED = [
    ({}, False, 10, 2, "and the bounty has no capsules"),
    ({"min_mines": 2}, True, 10, 3, "a sum over 2 may be opened"),
    (THREE, True, 11, 3, "may weigh more"),
    (THREE, True, 10, 3, ""),
]


@pytest.mark.parametrize(("changes", "veil", "count", "parts", "refused"), SHARED)
def test_shared_noise_needs_the_others(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    veil: bool,
    count: int,
    parts: int,
    refused: str,
) -> None:
    """No mine may have fewer than ten rows; `count` of them count."""
    plan = replace(mine_kit.slot_plan(), weight_rows=count)
    monkeypatch.setattr(mine_kit, "slot_plan", lambda: plan)
    if veil:
        world.veil()
    home = Home(world)
    posted = post(world, replace_noise(parts=parts), **changes)
    if refused:
        with pytest.raises(ConsentError, match=refused):
            home.join(posted)
        assert not home.ledger.charges()
    else:
        home.join(posted)
        assert home.ledger.charges()[0].parts == 3


def test_shared_noise_is_for_one_bounty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same noise in two, sums over other mines would take theirs off. So each has its own."""
    plan = replace(mine_kit.slot_plan(), weight_rows=10)
    monkeypatch.setattr(mine_kit, "slot_plan", lambda: plan)
    world.veil()
    home, shared = Home(world), replace_noise(parts=3)
    first, second = post(world, shared, **THREE), post(world, shared, rounds=3, **THREE)
    digests = [home.join(posted) for posted in (first, second, first)]
    assert digests[0] == digests[2] != digests[1]
    assert [charge.rho for charge in home.ledger.charges()] == [PRICE, PRICE]


def test_each_account_of_a_home_has_transactions_of_its_own(world: World) -> None:
    """What a successor sends from here is known, and what it sends from elsewhere is not."""
    home = Home(world)
    world.give(0, 10**17)
    old, new = world.accounts
    book = AccountBook(home.book.journal, Accounts((world.address(0),)))

    def send(account: LocalAccount, journal: Journal, what: str) -> None:
        time = Clock()
        outbox = Outbox(world.market(), account, journal, monotonic=time, sleep=time.sleep)
        outbox.perform(wish(what), transfer(world.address(0), 1))

    send(old, book.journal(world.address(0)), "one")
    book.name(world.address(1))
    book.switch(())
    send(new, book.journal(world.address(1)), "two")
    me = world.address(1)
    assert acts_elsewhere(world.market(), me, home.book) == []
    send(new, Journal(world.folder / "elsewhere.sqlite"), "three")
    send(old, Journal(world.folder / "elsewhere.sqlite"), "four")
    told = [gap.told for gap in acts_elsewhere(world.market(), me, home.book)]
    assert [short(world.address(i)) in line for i, line in enumerate(told)] == [True, True]
