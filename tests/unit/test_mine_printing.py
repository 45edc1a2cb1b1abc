"""What `mine status`, `earnings` and `bounties` show: whole figures in one unit a column, on any terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from mine.show.cover import cover_facts, in_lines, price_lines
from mine.show.documents import (
    DataUse,
    Income,
    MineStatus,
    OfferFacts,
    RoundIncome,
    Standing,
    TokenIncome,
    Told,
)
from mine.show.printing import DATASETS, FIT, print_earnings, print_offers, print_rows, print_status
from mine.show.privacy import price_facts
from mine.work.state import Veiled
from sonar.privacy.accounting import epsilon_of, rho_of
from sonar.privacy.terms import Price
from sonar.protocol.ids import ETHER, Address
from sonar.telling.text import short

ME, TOKEN = Address("0x" + "Ab" * 20), Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
BOUNTIES = ["0x" + each * 32 for each in ("3f", "d1")]
Shown = Callable[..., list[str]]


@pytest.fixture(params=[60, 80, 120])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in capsys.readouterr().out.splitlines()]


def income(number: int, bounty: str = BOUNTIES[0], asset: Address = ETHER, **changed: Any) -> RoundIncome:
    facts: dict[str, Any] = {
        "bounty": bounty,
        "round": number,
        "state": "paid",
        "share_bps": 3256,
        "fee_units": 10**16 // 3,
        "reward_units": 267_899_000_000_000_000,
        "forfeit_units": 0,
        "stake_back_units": 5 * 10**16,
        "stake_lost_units": 0,
        "gas_wei": 843_940_000_000,
        "asset": asset,
        "why": "",
        "net_units": 277_897_000_000_000_000,
    }
    return RoundIncome(**facts | changed)


def earned(*rounds: RoundIncome, tokens: tuple[TokenIncome, ...] = ()) -> Income:
    return Income(ME, list(rounds), 10**17, 0, 0, 0, list(tokens))


def test_earnings_are_a_table_for_each_bounty(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    left_out = income(2, state="no share", share_bps=0, reward_units=0, why="left out: " + "far off " * 12)
    print_earnings(earned(income(1), left_out, income(1, BOUNTIES[1], forfeit_units=1)))
    shown = lines(capsys)
    assert max(map(len, shown)) <= columns
    assert [line for line in shown if line.startswith("bounty ")] == [
        "bounty 0x3f3f…3f3f",
        "bounty 0xd1d1…d1d1",
    ]
    (unit,) = {each for line in shown for each in line.split() if each in ("ether", "wei")} - {"wei"}
    assert unit == "ether"
    rows = [line.split() for line in shown if re.match(r" +\d+ ", line)]
    assert len(rows) == 3
    assert all("277,897" not in "".join(row) for row in rows)
    assert sum("0.277897" in row for row in rows) == 3
    assert any("0.003333" in row for row in rows)
    assert any(line.startswith("round 2  left out: far off") for line in shown)
    assert "forfeits" in " ".join(shown)  # of the second; the first has none
    if columns >= 80:
        assert any("843.94" in row for row in rows)
        assert any("gwei" in line for line in shown)


def test_a_token_is_told_in_its_own_unit(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    known = TokenIncome(TOKEN, 1, 0, 0, unit="USDC 0xA0b8…eB48", told="all", symbol="USDC", decimals=6)
    paid = income(1, asset=TOKEN, fee_units=12_500_000, reward_units=1, net_units=12_500_001)
    print_earnings(earned(paid, tokens=(known,)))
    shown = lines(capsys)
    assert "bounty 0x3f3f…3f3f, paid in USDC 0xA0b8…eB48" in " ".join(shown)
    assert "12.500001" in " ".join(shown)
    assert max(len(line) for line in shown if "0xA0b8" not in line and TOKEN not in line) <= columns


def test_wide_shows_all_of_it_in_full(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_earnings(earned(income(1)), wide=True)
    shown = lines(capsys)
    assert shown[0] == f"bounty {BOUNTIES[0]}"
    assert {"843.94", "0.05", "32.56"} <= set(shown[3].split())


def test_status_fits_and_says_what_was_told(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    standing = Standing(
        BOUNTIES[0], "patients-of-2026", "reveal", "3/7", "revealed", 2**31, {}, Told(3, 48, 0, 48)
    )
    data = DataUse(
        "patients-of-2026",
        "csv",
        "/data/p.csv",
        "0x1",
        ["a"],
        1,
        left_out={"remark": "words"},
        declarable=["remark"],
        used=7,
        max_rounds=100,
    )
    status = MineStatus(
        address=ME,
        network="evil\x1b[2J",
        process="",
        ipfs={"peer_id": "", "running": True, "peers": 1},
        data=[data],
        refused=[],
        bounties=[standing],
        block=5,
        ether_wei=0,
        withdrawable_wei=3 * 10**9,
    )
    print_status(status)
    shown = lines(capsys)
    whole = " ".join(" ".join(shown).split())
    assert max(len(line) for line in shown if ME not in line) <= columns
    assert "\x1b[2J" not in whole
    assert "0 ether at block 5; 3 gwei to withdraw" in whole
    assert "1 peer" in whole
    assert "patients-of-2026: 1 row, used in 7 of 100 rounds" in whole
    assert any(line.startswith("0x3f3f…3f3f") and line.split()[-1] == "48" for line in shown)
    assert "3/7" in whole


def test_offers_say_what_they_ask_for(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    def offer(bounty: str, **changed: Any) -> OfferFacts:
        facts: dict[str, Any] = {
            "name": "blood",
            "scientist": ME,
            "status": "commit",
            "round": "1/7",
            "ends": 2**31,
            "mines": "1/10",
            "windows_s": [60, 60, 60],
            "quiet_s": 0,
            "settler": ETHER,
            "overdue_bps": 10_000,
            "asset": ETHER,
            "stake": "",
            "fee": "",
            "reward": "",
            "stake_units": 5 * 10**16,
            "fee_units": 10**16,
            "reward_units": 10**18,
            "key_bits": 2048,
            "needs": [f"column{i}" for i in range(20)],
            "asks": "feature map standardised",
            "data": ["p"],
            "problem": "",
            "hint": "",
            "chain_time_s": 0,
        }
        return OfferFacts(bounty=bounty, **facts | changed)

    token = {"asset": TOKEN, "stake_units": 12_500_000, "symbol": "USDC", "decimals": 6}
    veil = cover_facts(Veiled(2, CAPSULES, 64, audited=False), CAPSULES[:2])
    print_offers(
        [offer(BOUNTIES[1], **token, data=[], problem="no column age"), offer(BOUNTIES[0], cover=veil)]
    )
    shown = lines(capsys)
    whole = " ".join(" ".join(shown).split())
    assert max(len(line) for line in shown) <= columns
    assert "paid in USDC 0xA0b8…eB48:" in whole
    assert "12.5" in whole
    assert "not for you: no column age" in whole
    assert "any 2 of these 3 capsules could together with the scientist" in whole
    assert "(not one that you trust)" in whole
    assert all(f"column{i}" in whole for i in range(20))


CAPSULES = tuple(Address("0x" + each * 20) for each in ("1a", "2b", "3c"))


@pytest.mark.parametrize(
    ("members", "threshold", "told"),
    [
        (
            1,
            1,
            "nobody alone could read an answer of yours; this capsule could together with the scientist: ",
        ),
        (3, 1, "yours; each of these 3 capsules could together with the scientist: "),
        (3, 2, "yours; any 2 of these 3 capsules could together with the scientist: "),
        (3, 3, "yours; these 3 capsules could, all of them together with the scientist: "),
    ],
)
def test_a_cover_says_who_could_read_an_answer(members: int, threshold: int, told: str) -> None:
    veil = Veiled(threshold, CAPSULES[:members], 64, audited=False)
    facts = cover_facts(veil, CAPSULES[:2])
    assert told in facts.readers
    names = facts.readers.partition(": ")[2].split(", ")
    assert names == [short(one) for one in CAPSULES[:2][:members]] + (
        [f"{short(CAPSULES[2])} (not one that you trust)"] if members == 3 else []
    )
    assert facts.strangers == list(CAPSULES[2:members])
    (tells,) = [line for line in in_lines(facts) if "64 bits of an answer in a round" in line]
    assert veil.bits_in_all == 64 * (members - threshold + 1)
    assert tells.endswith(f"at most {veil.bits_in_all} in all")


@pytest.mark.parametrize("parts", [1, 3])
def test_a_price_says_what_a_mine_s_own_noise_leaves(parts: int) -> None:
    price = Price(rho_of(8.0, 1e-5), parts)
    facts = price_facts(price, 1e-5)
    assert facts is not None
    assert facts.epsilon == pytest.approx(8)
    assert facts.alone == epsilon_of(parts * price.rho, 1e-5)
    text = "\n".join(price_lines(facts, []))
    assert "costs epsilon 8 at delta 1e-05, once" in text
    assert ("your own noise leaves epsilon 15." in text) is (parts == 3)


def test_without_capsules_the_scientist_s_software_could() -> None:
    (line,) = in_lines(cover_facts(None, CAPSULES))
    assert line == "the bounty has no capsules: the scientist's own software could read each answer of yours"


def test_an_audit_says_what_the_capsules_see() -> None:
    audited, plain = (
        list(in_lines(cover_facts(Veiled(2, CAPSULES, 64, audited), CAPSULES))) for audited in (True, False)
    )
    assert "they see weights, holdout and pooled sums, not your answer" in audited[-1]
    assert "2 of them together could read it without the scientist" in audited[-1]
    assert plain[-1] == "not audited: what you are paid is the scientist's word"


def test_status_says_of_each_bounty_who_could_read(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    def standing(bounty: str, veil: Veiled | None, status: str = "commit") -> Standing:
        told = Told(1, 16, 0, 256 if veil else 16, 256 if veil else 0)
        cover = cover_facts(veil, CAPSULES)
        return Standing(bounty, "p", status, "1/7", "committed", 2**31, {}, told, cover)

    bounties = [standing(BOUNTIES[0], Veiled(2, CAPSULES, 128, audited=True)), standing(BOUNTIES[1], None)]
    over = standing("0x" + "77" * 32, None, "closed")
    print_status(MineStatus(ME, "net", "", None, [], [], [*bounties, over]))
    shown = lines(capsys)
    whole = " ".join(" ".join(shown).split())
    assert max(len(line) for line in shown if ME not in line) <= columns
    assert "0x3f3f…3f3f nobody alone could read an answer of yours; any 2 of these 3 capsules" in whole
    assert "each capsule may tell 128 bits of an answer in a round" in whole
    assert "0xd1d1…d1d1 the bounty has no capsules" in whole
    assert "0x7777…7777 the bounty" not in whole  # nothing is to be decided of one that is over
    assert any(line.startswith("0x3f3f…3f3f") and line.split()[-1] == "256" for line in shown)
    assert "or by all that capsules may have told" in whole


@pytest.mark.parametrize("width", ["60", "80"])
def test_long_texts_are_broken_in_their_column(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    row = {
        "name": "p",
        "rows": 40,
        "used": 7,
        "budget": "",
        "columns": [f"c{i}" for i in range(60)],
        "source": "/a/b.csv",
    }
    print_rows([row], DATASETS)
    print_rows([{"name": "p", "fits": False, "problem": "no column " * 9, "hint": "rename it " * 9}], FIT)
    shown = lines(capsys)
    assert max(map(len, shown)) <= int(width)
    assert shown[2].split()[:3] == ["p", "40", "7"]
    assert any(line.startswith("p     no    no column") for line in shown)
