"""Studies behind three capsules, with the program's own service: sums of words; one capsule that fails, lies
or was restored; and mines that spoil a sum, or send what no words are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonar.errors import CapsulesDiffer, ConfigError
from sonar.manifests.capsule import SumAnswer
from sonar.protocol.events import CohortFixed, RoundSettled
from sonar.protocol.ids import Cid, hex32, links_of
from sonar.telling.verdicts import BountyVerified
from sonar.veil.masks import Words
from sonar.veil.words import read_words, write_words
from sonar.verifying.reading import posted_as, verify
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import InProcess
from tests.integration.words_world import WordsMine, WordsWorld


def check_found(world: WordsWorld, campaign: Any, mines: int = 3) -> None:
    """The means are those of the pooled rows, to the last digits of what was sent."""
    found = campaign.result().to_dict()
    for place, name in enumerate(("age", "height")):
        assert found[name] == pytest.approx(world.pooled[:, place].mean(), abs=1e-6)
    assert found["mines"] == mines
    world.check_money()


def test_one_round_gives_the_means_of_the_pooled_rows(tmp_path: Path) -> None:
    world = WordsWorld(tmp_path)
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    check_found(world, campaign)
    assert summary.closed == "TARGET_REACHED"
    assert len(world.events(CohortFixed)) == len(world.events(RoundSettled)) == 1
    for one in campaign.revealed().values():
        assert (one.score_bits, one.told_bits, one.failed_tests) == (0, 1, [])
    assert all(one.asked == ["identity", "functional", "sum"] for one in world.capsules)


def before_the_sum(world: WordsWorld, act: Callable[[InProcess], None]) -> None:
    """Let something happen to the second capsule once the mines are asked about, and no sum yet."""
    first, odd = world.capsules[0], world.capsules[1]

    def then(kind: str, body: bytes) -> bytes:
        if kind == "functional":
            act(odd)
        return body

    first.change = then


def killed(capsule: InProcess) -> None:
    capsule.down = True


def restored(capsule: InProcess) -> None:
    """Its ledger is the one of before the bounty: an empty one, as of a copy that is long past."""
    shutil.rmtree(capsule.folder)
    capsule.folder.mkdir()
    capsule.start()
    capsule.means.ledger.set_blind(10**12)


@pytest.mark.parametrize("act", [killed, restored])
def test_one_of_three_that_is_killed_or_restored_costs_nothing(
    tmp_path: Path, act: Callable[[InProcess], None]
) -> None:
    world = WordsWorld(tmp_path)
    before_the_sum(world, act)
    campaign = world.campaign()
    world.run(campaign)
    check_found(world, campaign)
    if act is restored:  # sums are the same from every copy
        assert world.capsules[1].asked.count("sum") == 1


def one_unit(body: bytes) -> bytes:
    """One unit of one word: nothing of the sum could show it."""
    told = SumAnswer.from_bytes(body)
    words = read_words(told.sums[0], len(told.sums[0]) // 8).copy()
    words[1:2] += np.uint64(1)
    return told.model_copy(update={"sums": (write_words(words), *told.sums[1:])}).to_bytes()


def shorter(body: bytes) -> bytes:
    told = SumAnswer.from_bytes(body)
    return told.model_copy(update={"sums": tuple(one[:-8] for one in told.sums)}).to_bytes()


def test_a_capsule_that_lies_in_one_unit_stops_the_round_and_is_named(tmp_path: Path) -> None:
    world = WordsWorld(tmp_path)
    campaign, liar = world.campaign(), world.capsules[0]
    liar.change = lambda kind, body: one_unit(body) if kind == "sum" else body
    with pytest.raises(CapsulesDiffer) as caught:
        world.run(campaign)
    assert sum(one.address in str(caught.value) for one in world.capsules) == 2
    assert liar.address in str(caught.value)
    liar.down = True  # whoever runs it stops it, and the two others suffice
    world.run(again := world.campaign())
    check_found(world, again)


def test_a_sum_of_another_shape_is_that_capsules_fault_alone(tmp_path: Path) -> None:
    world = WordsWorld(tmp_path)
    world.capsules[2].change = lambda kind, body: shorter(body) if kind == "sum" else body
    world.run(campaign := world.campaign())
    check_found(world, campaign)


# ---- mines


def far(words: Words) -> Words:
    """One word that is far out of range."""
    words[2:3] += np.uint64(2**62 + 2**61)  # modulo 2^64
    return words


def mine_of(world: World, place: int) -> WordsMine:
    found = world.miners[place]
    assert isinstance(found, WordsMine)
    return found


def test_who_spoils_a_sum_is_told_by_a_few_bits_of_one_word_and_left_out(tmp_path: Path) -> None:
    """The round has no sum; the next one does without the mine, and another by lot, as atoms ask."""
    world = WordsWorld(tmp_path, mines=5)
    bad = mine_of(world, 3)
    bad.change = far
    campaign = world.campaign()
    world.run(campaign)
    first, *rest = campaign.history()
    assert first["left_out"] == {bad.address: "test range: a value is larger than the bounty's bounds allow"}
    assert all(bad.address in line["left_out"] for line in rest)
    told = campaign.revealed()
    assert told[bad.address].failed_tests == [(1, "range")]
    assert all(told[one.address].failed_tests == [] for one in world.miners if one is not bad)
    assert 1 < max(one.told_bits for one in told.values()) <= 24 * len(campaign.history())
    found = campaign.result().to_dict()
    assert found["mines"] == 3
    world.check_money()


def one_word_less(mine: WordsMine) -> None:
    mine.change = lambda words: words[:-1]


def one_word_more(mine: WordsMine) -> None:
    mine.change = lambda words: np.concatenate([words, words[:1]])


def more_parts(mine: WordsMine) -> None:
    link = Cid.of_blob(b"12345678")
    mine.says = {"blobs": (link,) * 1024}


def no_such_part(mine: WordsMine) -> None:
    mine.says = {"blobs": links_of(b"another")}


def many_words(mine: WordsMine) -> None:
    mine.says = {"ciphertexts": 4096}


def under_a_key(mine: WordsMine) -> None:
    mine.says = {"key": b"k" * 32}


def no_rows(mine: WordsMine) -> None:
    mine.says = {"rows": 1}


HOSTILE = [one_word_less, one_word_more, more_parts, no_such_part, many_words, under_a_key, no_rows]


@pytest.mark.parametrize("lie", HOSTILE, ids=lambda lie: lie.__name__)
def test_what_is_no_answer_in_words_is_left_out_and_nobody_else(
    tmp_path: Path, lie: Callable[[WordsMine], None]
) -> None:
    world = WordsWorld(tmp_path, mines=4)
    bad = mine_of(world, 1)
    lie(bad)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert list(line["left_out"]) == [bad.address]
    assert line["left_out"][bad.address].startswith(("malformed: ", "withheld: "))
    assert campaign.result().to_dict()["mines"] == 3
    world.check_money()


def test_one_bad_envelope_each_for_two_capsules_stops_no_sum(tmp_path: Path) -> None:
    """Each of two mines could be opened by two capsules, and both together by one alone: so both stay out."""
    world = WordsWorld(tmp_path, mines=5)
    world.miners[1].spoilt, world.miners[2].spoilt = (0,), (1,)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert set(line["left_out"]) == {world.miners[1].address, world.miners[2].address}
    assert all(why.startswith("test veil") for why in line["left_out"].values())
    assert campaign.result().to_dict()["mines"] == 3


def test_an_audit_of_a_study_is_refused_before_anything_is_posted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"capsules\.audit: is true, and of a statistic there is nothing"):
        WordsWorld(tmp_path, study={"capsules": {"audit": True}})


def verified(world: WordsWorld, campaign: Any) -> BountyVerified:
    return verify(world.market, lambda: world.store, posted_as(world.market, hex32(campaign.id)))


def test_anybody_can_verify_a_study_in_words(tmp_path: Path) -> None:
    """A spoilt round and a malformed update are the mines' own doing. Words that are gone are told."""
    world = WordsWorld(tmp_path, mines=6)
    mine_of(world, 3).change = far
    one_word_less(mine_of(world, 4))
    campaign = world.campaign()
    world.run(campaign)
    told = verified(world, campaign)
    assert (told.result, len(told.rounds)) == ("holds", 3)

    (honest, *_) = world.miners
    digest, _, (words, _) = honest.ready[1]
    assert digest in world.memory._blobs
    del world.memory._blobs[links_of(words)[0].digest]
    told = verified(world, campaign)
    (missing,) = (each for one in told.rounds for each in one.findings if each.kind == "unknown")
    assert (told.result, honest.address in missing.field) == ("unknown", True)
