"""A mine and a bounty in a token, or among named mines: what it takes part in, and what it refuses to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mine import setup
from mine.consent import Policy
from mine.show.documents import TokenIncome
from mine.show.earnings import earnings
from mine.work import joining
from mine.work.workshop import sums_at
from sonar.chain.contract.token import held
from sonar.errors import ConsentError, ManifestError
from sonar.manifests.model import AllowList
from sonar.protocol.allowlist import read_list, root_of
from sonar.protocol.events import Committed
from sonar.protocol.ids import ETHER, ZERO32, hex32
from sonar.protocol.round import RoundState
from sonar.telling.progress import Done
from sonar.telling.text import short
from tests.integration.mine_kit import TOKENS_EACH, World, run, terms


def named(world: World, *indices: int) -> AllowList:
    return AllowList(mines=read_list([world.address(i) for i in indices], "allow"))


def post_among(world: World, listed: AllowList | None, root: bytes, **changes: object) -> None:
    """Post a bounty whose manifest links to `listed` and whose terms have `root`."""
    cid = world.store.put(listed.to_bytes(), "dag-cbor") if listed else None
    model = world.scientist.manifest(allow_list=cid)
    world.scientist.post(terms(allow_root=root, cohort_cap=2, rounds=1, **changes), model)


def join(world: World, index: int, policy: Policy | None = None) -> None:
    (posted,) = world.market().bounties()
    world.node(index)  # makes the home, and registers its data
    sums, allowed = sums_at(world.home(index)), policy or world.policy
    joining.join(world.market(), world.store, world.address(index), allowed, world.book(index), sums, posted)


def test_listed_mines_take_part_and_others_are_told_why_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    listed = named(world, 0, 1)
    post_among(world, listed, root_of(listed.mines))
    with pytest.raises(ConsentError, match="not on the bounty's allow-list of 2 mines") as caught:
        join(world, 2)
    assert world.address(2) in str(caught.value)
    nodes = [world.node(i, claim=True) for i in range(3)]
    run(nodes)
    world.scientist.settle()
    run(nodes)
    committed = {e.mine for e in world.market().events(0) if isinstance(e, Committed)}
    assert committed == {world.address(0), world.address(1)}
    assert world.part(0, 1).state is RoundState.PAID
    assert world.market().ether(world.market().address) > 0  # the scientist's own refund


@pytest.mark.parametrize("case", ["another list", "no list", "a list and no root", "not a list"])
def test_a_list_that_does_not_go_with_the_terms_is_refused(tmp_path: Path, case: str) -> None:
    world = World(tmp_path)
    listed, other = named(world, 0, 1), named(world, 0, 2)
    if case == "another list":
        post_among(world, other, root_of(listed.mines))
    elif case == "no list":
        post_among(world, None, root_of(listed.mines))
    elif case == "a list and no root":
        post_among(world, listed, ZERO32)
    else:
        model = world.scientist.manifest(allow_list=world.scientist.key_manifest.cid())
        world.scientist.post(terms(allow_root=root_of(listed.mines)), model)
    with pytest.raises(ManifestError, match=r"allow_list|AllowList|kind"):
        join(world, 0)


@pytest.mark.parametrize("kind", ["plain", "old"])
def test_a_mine_is_paid_in_a_token_that_its_operator_allows(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path, mines=2, token=kind)
    world.scientist.post(world.terms(cohort_cap=2, rounds=1))
    with pytest.raises(ConsentError, match=f"is the token {world.token}") as caught:
        join(world, 0, Policy(insecure_keys=True))
    assert f'"{world.token}" = {{ max_stake = 10000 }}' in caught.value.hint
    nodes = [world.node(i, claim=True) for i in range(2)]
    run(nodes)
    world.scientist.settle()
    assert all(isinstance(result, Done) for result in run(nodes))
    market = world.market()
    brought = held(market, world.token, world.address(0)) - TOKENS_EACH
    assert brought > 0
    document = earnings(market, world.book(0), world.address(0), [world.token]).document()
    assert document.tokens == [TokenIncome(world.token, brought, 0, brought + 10_000)]
    (line,) = document.rounds
    assert (line.asset, line.net_units, line.stake_back_units) == (world.token, brought, 10_000)
    # All gas, the approval's too, is of the ether and of the round that it was for.
    gas = 10**20 - market.ether(world.address(0))
    assert (document.net_wei, document.withdrawn_wei) == (-gas, 0)
    assert line.gas_wei + document.other_gas_wei == gas
    assert document.other_gas_wei < line.gas_wei
    # What was earned stays earned when the bounty is left, and so does the asset that it was earned in.
    book = world.book(0)
    setup.leave(book, hex32(world.scientist.bounty))
    again = earnings(market, book, world.address(0), book.assets() - {ETHER})
    assert again.document() == document


def test_a_mine_without_the_token_says_so_and_sends_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, mines=2, token="plain", rich=(1,))
    world.scientist.post(world.terms(cohort_cap=2, rounds=1))
    run([world.node(0)])
    assert [problem.error for problem in world.problems()] == [
        f"bounty {short(hex32(world.scientist.bounty))}: {world.address(0)} has 0 units of {world.token} "
        f"and needs 10000 units of {world.token}"
    ]
    assert world.market().ether(world.address(0)) == 10**20
