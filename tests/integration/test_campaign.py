"""A campaign from posting to withdrawal, on a real chain with honest mines; and what can go wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pysonar.campaign.opening import short_window
from pysonar.campaign.records import Cohort, Outcome, Publication
from pysonar.cli import main
from pysonar.keys.key import Key
from sonar.chain.contract.market import Market
from sonar.chain.sending.intent import Intent
from sonar.errors import ConfigError, InsufficientFunds
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import ModelManifest
from sonar.protocol.events import BountyClosed, MinePaid, RoundFailed, RoundSettled
from sonar.protocol.ids import Cid
from sonar.protocol.phase import CloseReason
from sonar.settling.verdict import Verdict
from sonar.telling.progress import Note, Round
from tests.chain_kit import wish
from tests.family_kit import losses_of, run_clear
from tests.integration.campaign_kit import ETHER, HonestMine, World, shard_map
from tests.quick_chain import inside


def clear_losses(world: World, rounds: int) -> list[int]:
    """The same job without encryption, chain or store: integers all the way, as the mines compute them."""
    design = world.bounty.design
    maps = [shard_map(i, world.shards, design.spec, design.plan.data_frac) for i in range(world.mines)]
    weighted = [replace(one, rows=min(one.rows, design.plan.weight_rows)) for one in maps]
    return losses_of(run_clear(design, weighted, rounds, world.bounty.optimiser))[1:]


def test_the_whole_job_reaches_the_loss_of_the_clear_run(tmp_path: Path) -> None:
    world = World(tmp_path, mines=10, settings={"rounds": 7})
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    losses = [line["loss"] for line in campaign.history()]
    assert losses == clear_losses(world, 7)
    assert min(losses[:5]) <= 1_000_000 * 2620 / 5572.3  # mean squared errors
    assert summary.final_loss == min(losses)
    assert campaign.model.loss == min(losses)
    world.check_money()
    assert all(sum(line["shares_bps"].values()) == 10_000 for line in campaign.history())
    figures = {line["loss"]: line["figures"] for line in campaign.history()}  # one figure for one model
    assert all(line["best"] == figures[line["best_loss"]] for line in campaign.history())
    assert {total.score_bits for total in campaign.revealed().values()} == {7 * 16}
    assert sum(isinstance(event, Round) for event in world.sink.events) == 7
    updates = [d for n in range(1, 8) for d in campaign.records.get(Cohort, n).digests.values()]
    assert len(updates) == 70
    assert not any(world.memory.pinned(Cid("dag-cbor", digest)) for digest in updates)


def test_the_evidence_says_what_the_contract_paid_by(tmp_path: Path) -> None:
    world = World(tmp_path)
    campaign = world.campaign()
    world.run(campaign)
    for settled in world.events(RoundSettled):
        data = world.store.get(Cid("dag-cbor", settled.evidence_digest), 1 << 20)
        evidence = EvidenceManifest.from_bytes(data)
        paid = {e.mine: e.share_bps for e in world.events(MinePaid) if e.round == settled.round}
        assert {member.mine: member.share_bps for member in evidence.cohort} == paid
        assert (evidence.loss, evidence.best_loss) == (settled.new_loss, settled.best_loss)
        assert evidence.new_model.digest == settled.new_model_digest
        assert evidence.aggregate is not None
        assert evidence.accepted_rows == 120


def test_every_round_encrypts_the_weights_afresh(tmp_path: Path) -> None:
    world = World(tmp_path)
    campaign = world.campaign()
    world.run(campaign)
    manifests = [campaign.records.get(Publication, n).model_manifest for n in (1, 2, 3)]
    models = [ModelManifest.from_bytes(manifest) for manifest in manifests]
    assert [model.round for model in models] == [2, 3, 4]
    assert len({model.blobs for model in models}) == 3
    assert len({(model.family, model.plan, model.key, model.zero_start, model.name) for model in models}) == 1


def test_gradient_descent_is_slower_and_works(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"optimiser": {"kind": "gradient-descent", "rate": 0.2}})
    campaign = world.campaign()
    world.run(campaign)
    losses = [line["loss"] for line in campaign.history()]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < world.bounty.initial_loss
    world.check_money()


def test_a_weight_at_its_bound_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"weight_max": 0.3, "rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    told = [e.text for e in world.sink.events if isinstance(e, Note) and "weight_max" in e.text]
    assert [text.partition(";")[0] for text in told] == ["round 1: weight_max = 0.3 stops the weights of sex"]
    assert "larger weight_max" in told[0]
    first, second = (line["loss"] for line in campaign.history())
    assert second < first < world.bounty.initial_loss
    assert abs(campaign.model.weights).max() == pytest.approx(0.3)


def test_a_target_that_is_reached_closes_the_bounty(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"mse": 4000.0})
    campaign = world.campaign()
    assert repr(campaign) == "<Campaign 'diabetes': not posted, 0 of 3 rounds are over>"
    summary = world.run_to_end(campaign)
    assert repr(campaign) == "<Campaign 'diabetes': closed, 1 of 3 rounds are over>"
    assert summary.closed == "TARGET_REACHED"
    assert len(campaign.history()) == 1
    assert summary.paid_units == 1 * ETHER + 3 * ETHER // 100
    world.check_money()


def test_a_worse_round_is_paid_its_fees_only_and_the_best_model_stays(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"optimiser": {"kind": "gradient-descent", "rate": 0.9}, "rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    for line in campaign.history():
        assert line["loss"] > line["best_loss"] == world.bounty.initial_loss
        assert sum(line["shares_bps"].values()) == 10_000
        assert line["paid_units"] == 3 * ETHER // 100
    assert campaign.model.loss == world.bounty.initial_loss
    assert campaign.model.weights.tolist() == world.bounty.design.start_weights.tolist()
    world.check_money()


# --- mines that do not do their part ---


def test_an_unrevealed_stake_is_shared_and_the_round_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.miners[2].mute = frozenset({2})
    campaign = world.campaign()
    world.run(campaign)
    second = campaign.history()[1]
    assert len(second["cohort"]) == 2
    assert campaign.payouts()[world.miners[0].address]["forfeit_units"] == ETHER // 20
    world.check_money()


def test_a_round_with_too_few_fails_and_the_next_one_works(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.miners[1].absent = world.miners[2].absent = frozenset({1})
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["failed", "settled", "settled"]
    assert len(world.events(RoundFailed)) == 1
    assert sum("smaller min_mines" in told.text for told in world.sink.events if isinstance(told, Note)) == 1
    assert campaign.model.loss < world.bounty.initial_loss
    world.check_money()


def test_a_bounty_that_nobody_wants_comes_back_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    for mine in world.miners:
        mine.absent = frozenset({1})
    summary = world.run_to_end(world.campaign())
    assert summary.closed == "NO_COMMITS"
    assert summary.refunded_units == summary.escrow_units
    world.check_money()


def test_somebody_else_may_expire_a_failed_round(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.miners[1].absent = world.miners[2].absent = frozenset({1})
    campaign = world.campaign()
    campaign.tick()
    bounty = campaign.id
    assert bounty is not None
    world.let_mines_act(campaign)
    world.move(world.window_s)
    world.let_mines_act(campaign)
    world.miners[0].outbox.perform(wish("x"), world.market.expire(bounty, 1, [world.miners[0].address]))
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["failed", "settled", "settled"]
    world.check_money()


def test_a_withheld_blob_costs_its_mine_the_round(tmp_path: Path) -> None:
    world = World(tmp_path, quick=False)
    cheat = world.miners[1]
    cheat.withhold = frozenset({2, 3})
    campaign = world.campaign()
    world.run(campaign)
    first, second, third = campaign.history()
    assert first["shares_bps"][cheat.address] > 0
    for line in (second, third):
        assert line["left_out"] == {cheat.address: "withheld: revealed, but not in the store"}
        assert line["shares_bps"][cheat.address] == 0
        assert cheat.address not in line["scores"]
    world.check_money()
    # The first time it is waited for, the second time not.
    cohorts = [campaign.records.get(Cohort, n) for n in (2, 3)]
    settled = {e.round: e for e in world.events(RoundSettled)}
    times = [int(inside(world.chain)._header(hex(settled[n].block)).timestamp) for n in (2, 3)]
    assert times[0] - cohorts[0].seen_s >= world.window_s // 2 > 4 >= times[1] - cohorts[1].seen_s


def test_a_blob_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 1})
    mine = world.miners[1]
    mine.withhold = frozenset({1})
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.records.get(Cohort, 1) is not None)
    assert mine.late
    assert campaign.records.get(Verdict, 1) is None
    for cid, data in mine.late.items():
        world.store.put(data, cid.codec)
    world.run(campaign)
    assert campaign.history()[0]["left_out"] == {}
    world.check_money()


def test_too_few_good_updates_decrypt_nothing_and_the_good_ones_share_the_fees(tmp_path: Path) -> None:
    world = World(tmp_path, mines=2, settings={"rounds": 2})
    world.miners[1].withhold = frozenset({1})
    campaign = world.campaign()
    world.run(campaign)
    first, second = campaign.history()
    assert first["loss"] == first["best_loss"] == world.bounty.initial_loss
    assert first["shares_bps"][world.miners[0].address] == 10_000
    assert second["loss"] < world.bounty.initial_loss
    assert world.events(RoundSettled)[0].paid_units == 2 * ETHER // 100
    world.check_money()


def test_nobody_is_paid_when_nobody_was_accepted(tmp_path: Path) -> None:
    world = World(tmp_path, mines=2, settings={"rounds": 1})
    for mine in world.miners:
        mine.withhold = frozenset({1})
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    assert summary.paid_units == 0
    assert summary.refunded_units == summary.escrow_units
    world.check_money()


def test_an_overdue_round_pays_the_mines_and_closes(tmp_path: Path) -> None:
    world = World(tmp_path)
    campaign = world.campaign()
    world.run_until(campaign, lambda: len(campaign.history()) == 1)
    for _ in range(4):
        world.let_mines_act(campaign)
    world.move(200)
    summary = world.run_to_end(world.campaign())
    assert summary.closed == "OVERDUE"
    assert [line["ended"] for line in campaign.history()[:1]] == ["settled"]
    assert all(e.fee_units > 0 for e in world.events(MinePaid) if e.round == 2)
    world.check_money()


def test_a_settlement_that_comes_too_late_ends_in_overdue(tmp_path: Path) -> None:
    """The window closes after the campaign looked and before its transaction is mined."""
    world = World(tmp_path, settings={"rounds": 1})

    class SlowOutbox:
        def __init__(self, outbox: Any) -> None:
            self.outbox = outbox

        def __getattr__(self, name: str) -> Any:
            return getattr(self.outbox, name)

        def submit(self, intent: Intent, call: Any) -> None:
            if call.name == "settle":
                world.move(200)
            self.outbox.submit(intent, call)

    campaign = world.campaign(lambda part, name: SlowOutbox(part) if name == "outbox" else part)
    summary = world.run_to_end(campaign)
    assert summary.closed == "OVERDUE"
    world.check_money()


# --- mines that cheat ---


class Cheat(HonestMine):
    """Honest but for one thing, from round `start` on."""

    start = 1

    def sealed(self, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        if n < self.start:
            return super().sealed(bounty, n, model, key, rows, blob)
        return self.cheat(bounty, n, model, key, rows, blob)

    def cheat(self, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        raise NotImplementedError


def _resealed(change: Any) -> Any:
    def cheat(self: Any, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        return HonestMine.sealed(self, *change(self, bounty, n, model, key, rows, blob))

    return cheat


def _times(factor: int) -> Any:
    def change(_self: Any, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        (c,) = key.decode_blob(blob, 1)
        return bounty, n, model, key, rows, key.encode_blob([key.mul_plain(c, factor)])

    return change


def _stolen_blob(self: Any, bounty: Any, n: int, model: Any, key: Any, rows: int, _blob: bytes) -> Any:
    return bounty, n, model, key, rows, self.world.miners[0].ready[1][2][0]


CHEATS: dict[str, tuple[int, Any, str]] = {
    "more rows than before": (2, lambda s, b, n, m, k, r, x: (b, n, m, k, 4000, x), "rows: 4000"),
    "another bounty": (1, lambda s, b, n, m, k, r, x: (b"x" * 32, n, m, k, r, x), "malformed: bounty"),
    "a ciphertext of 0": (1, lambda s, b, n, m, k, r, x: (b, n, m, k, r, bytes(len(x))), "malformed: cipher"),
    "a stolen blob": (2, _stolen_blob, "copy"),
    "ten times": (1, _times(10), "test"),
    "minus three times": (2, _times(-3), "test"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_left_out_with_a_reason_and_earns_nothing(name: str, tmp_path: Path) -> None:
    start, change, reason = CHEATS[name]
    kind = type("ThisCheat", (Cheat,), {"start": start, "cheat": _resealed(change)})
    world = World(tmp_path, mines=4, settings={"rounds": max(start, 2)})
    cheat = world.miners[3] = kind(**{f: getattr(world.miners[3], f) for f in ("world", "index", "account")})
    campaign = world.campaign()
    world.run(campaign)
    for line in campaign.history()[start - 1 :]:
        assert list(line["left_out"]) == [cheat.address], line
        assert line["shares_bps"][cheat.address] == 0
        assert reason in line["left_out"][cheat.address]
        assert len(line["accepted"]) == 3
    assert all(e.fee_units + e.reward_units == 0 for e in world.events(MinePaid)
               if e.mine == cheat.address and e.round >= start)  # fmt: skip
    if start == 1:
        world.mines = 3
        assert [line["loss"] for line in campaign.history()] == clear_losses(world, 2)
    world.check_money()


class Boaster(HonestMine):
    """Honest but for its row count, which is as large as the bounty takes."""

    def sealed(self, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        return super().sealed(bounty, n, model, key, 1 << 20, blob)


def test_a_row_count_that_nobody_can_check_is_worth_little(tmp_path: Path) -> None:
    """With 1,600 times the rows of the others, a mine had 99 % of the reward and the model to itself."""
    honest = World(tmp_path / "honest", mines=6, settings={"rounds": 2})
    world = World(tmp_path / "boast", mines=6, settings={"rounds": 2}, accounts=honest.accounts)
    world.miners[5] = Boaster(world, 5, world.miners[5].account)
    shares = []
    for each in (honest, world):
        campaign = each.campaign()
        each.run(campaign)
        assert all(len(line["accepted"]) == 6 for line in campaign.history())
        assert campaign.records.get(Outcome, 1).rows == 6 * each.bounty.design.plan.weight_rows
        shares.append([line["shares_bps"] for line in campaign.history()])
    assert shares[0] == shares[1]  # all weigh the same in the sum, whatever they say
    world.check_money()


# --- the file that started it ---


def test_another_bounty_of_the_same_name_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 1})
    world.run(world.campaign())
    world.bounty = replace(world.bounty, settings=world.bounty.settings.model_copy(update={"rounds": 2}))
    with pytest.raises(ConfigError, match="name"):
        world.campaign()


def test_a_posted_bounty_goes_on_with_its_own_key_only(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 1})
    world.campaign().tick()
    world.key_path = tmp_path / "other.json"
    Key.generate(1024, insecure=True).save(world.key_path, "test", dev=True)
    with pytest.raises(ConfigError, match="another key"):
        world.campaign()


def test_before_anything_was_sent_the_bounty_may_still_change(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 1, "reward": "1000 ether"})
    campaign = world.campaign()
    with pytest.raises(InsufficientFunds):
        campaign.tick()
    world.bounty = replace(
        world.bounty, settings=world.bounty.settings.model_copy(update={"reward": "1 ether"})
    )
    assert world.run_to_end(world.campaign()).escrow_units < 2 * ETHER
    world.check_money()


def test_a_finished_campaign_says_so_again(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 1})
    first = world.run(world.campaign())
    again = world.campaign()
    assert again.done
    assert world.run(again).summary == first.summary
    assert len(world.events(BountyClosed)) == 1
    assert world.events(BountyClosed)[0].reason is CloseReason.LAST_ROUND


@pytest.mark.parametrize(
    ("window_s", "confirmations", "least_s"), [(60, 3, 156), (155, 3, 156), (263, 12, 264)]
)
def test_a_settle_window_shorter_than_settling_takes_is_told(
    tmp_path: Path, window_s: int, confirmations: int, least_s: int
) -> None:
    """A block comes every 12 s. Nothing is told of a chain too young, or of one confirmation."""
    world = World(tmp_path)
    assert short_window(world.market, window_s, confirmations) == ""
    for _ in range(110):
        world.move(12)
    told = short_window(world.market, window_s, confirmations)
    assert f"give settle_window_s = {least_s} or more" in told
    assert "blocks of 12 s" in told
    assert short_window(world.market, least_s, confirmations) == ""
    assert short_window(world.market, window_s, 1) == ""


def test_the_command_tells_it_before_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    for _ in range(110):
        world.move(12)
    file = tmp_path / "network.toml"
    NetworkConfig(
        name="test",
        dev=True,
        chain_id=1,
        rpc_url="http://127.0.0.1:9",
        contract=world.market.address,
        code_hash=b"h" * 32,
        confirmations=3,
        store=StoreConfig(path=str(tmp_path / "store")),
    ).save(file)
    bounty = tmp_path / "bounty.toml"
    bounty.write_text('name = "d"\nkey_bits = 2048\nsettle_window_s = 100\n[holdout]\nexample = "diabetes"\n')
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    monkeypatch.setattr(Market, "connect", lambda *_args, **_named: world.market)
    assert main(["init", "--home", str(tmp_path / "home"), "--network", str(file), "--dev"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(
        "pysonar.cli._confirm", lambda: capsys.readouterr().err.index("settle_window_s = 156")
    )
    monkeypatch.setattr("pysonar.cli._see_through", lambda *_args: None)
    assert main(["run", str(bounty), "--home", str(tmp_path / "home")]) == 0
