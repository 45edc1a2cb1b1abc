"""What a person is told when an account has a successor."""

from __future__ import annotations

import pytest

from sonar.accounts import AccountChanged, print_changed
from sonar.protocol.ids import Address

OLD, NEW = Address("0x" + "11" * 20), Address("0x" + "22" * 20)


def told(capsys: pytest.CaptureFixture[str], *, used: bool, tx_hash: str) -> str:
    done = AccountChanged(OLD, NEW, used, 0, 10**18, tx_hash, 80_000 if tx_hash else 0)
    print_changed(done, "mine rotate", "mine claim --move")
    return " ".join(capsys.readouterr().out.split())


def test_a_second_run_says_that_nothing_was_sent_and_how_to_change_once_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    again = told(capsys, used=True, tx_hash="")
    assert "nothing now: the chain has this change; `mine rotate --again` makes another" in again
    assert "--again" not in told(capsys, used=True, tx_hash="0x" + "ab" * 32)
    assert "--again" not in told(capsys, used=False, tx_hash="")
