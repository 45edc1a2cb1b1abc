"""The card and the pictures of a model and of a study that honest mines answered, on a real chain."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import pysonar
from pysonar.show.card import Card, Section, card_of
from sonar.errors import DataError
from sonar.home.settings import NetworkConfig
from tests.integration.campaign_kit import World
from tests.integration.study_world import StudyWorld
from tests.unit.network_file import write_network

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Any]:
    world = World(tmp_path_factory.mktemp("trained"))
    campaign = world.campaign()
    world.run_to_end(campaign)
    return world, campaign


def network(folder: Path, chain_id: int = 31337) -> NetworkConfig:
    found = NetworkConfig.load(write_network(folder))
    return found.model_copy(update={"chain_id": chain_id})


def test_a_model_s_card_tells_of_data_losses_payments_and_the_chain(
    tmp_path: Path, trained: tuple[World, Any]
) -> None:
    world, campaign = trained
    card = card_of(campaign.records, world.bounty, network(tmp_path, 1), campaign.revealed())
    told = card.to_markdown()
    summary = campaign.summary()
    for mine in world.miners:
        assert mine.address in told
    assert f"{len(world.miners)} data sets of other people took part, with 120 rows in all" in told
    assert summary["bounty"] in told
    assert "https://etherscan.io/address/0x" in card.to_html()
    assert 'href="https://etherscan.io/block/' in card.to_html()
    assert told.count(", settled |") == len(summary["rounds"])
    for section in ("What it is", "Data", "Losses", "Coefficients", "Privacy", "Payments", "On the chain"):
        assert f"## {section}" in told
    assert f"R² {summary['final']['r2']:.4f}" in told
    assert "bmi" in told
    assert "bits of scores" in told


def test_without_the_key_no_number_of_bits_is_told(tmp_path: Path, trained: tuple[World, Any]) -> None:
    world, campaign = trained
    told = card_of(campaign.records, world.bounty, network(tmp_path)).to_markdown()
    assert "| bits of scores, and yes/no tests |" in told
    assert "0 bits" not in told


def test_a_study_s_card_has_its_table(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    campaign = world.campaign()
    before = card_of(campaign.records, campaign.bounty, network(tmp_path)).to_markdown()
    assert "There is no result yet" in before
    world.run_to_end(campaign)
    told = card_of(campaign.records, campaign.bounty, network(tmp_path), campaign.revealed()).to_markdown()
    assert "heights: a study of other people's data" in told
    assert "    age " in told
    assert "3 data sets of other people took part, with 120 rows in all" in told
    assert "## Losses" not in told
    with pytest.raises(DataError, match="campaign: asks for a statistic"):
        pysonar.plot_losses(campaign)


def test_what_strangers_wrote_is_shown_and_not_run() -> None:
    card = Card("<b>x</b>", [Section("s", ["*a* | <script>"], ["h"], [["<img src=x>\n| y"]], "<pre>")])
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)

    Reader().feed(card._repr_html_())
    assert set(tags) == {"h2", "h3", "p", "table", "tr", "th", "td", "br", "pre"}
    assert "\\*a\\* \\| \\<script\\>" in card.to_markdown()
    assert "| \\<img src=x\\> \\| y |" in card.to_markdown()


def test_losses_are_drawn_against_rounds_and_money(trained: tuple[World, Any]) -> None:
    _, campaign = trained
    left, right = pysonar.plot_losses(campaign)
    summary = campaign.summary()
    x, y = left.lines[0].get_data()
    assert x.tolist() == [0, *(line["round"] for line in summary["rounds"])]
    assert y[-1] == pytest.approx(summary["rounds"][-1]["figures"]["r2"])
    assert right.lines[0].get_data()[0][-1] == pytest.approx(summary["paid_units"] / 1e18)
    assert right.get_xlabel() == "paid, ether"
    with pytest.raises(DataError, match="no settled round yet"):
        pysonar.plot_losses({**summary, "rounds": []})


def test_coefficients_and_calibration_are_drawn(trained: tuple[World, Any]) -> None:
    world, campaign = trained
    axes = pysonar.plot_coefficients(campaign.model)
    assert {label.get_text() for label in axes.get_yticklabels()} == set(world.bounty.features)
    told = [0.1, 0.9] * 50
    axes = pysonar.plot_calibration(told, [False, True] * 50, bins=2)
    x, y = axes.lines[1].get_data()
    assert [float(a) for a in x] == pytest.approx([0.1, 0.9])
    assert [float(b) for b in y] == [0, 1]
    for wrong in (([0.1], [0, 1]), ([2.0], [1]), ([], []), ([[0.1]], [[1]])):
        with pytest.raises(DataError, match=r"^probabilities, labels"):
            pysonar.plot_calibration(*wrong)
