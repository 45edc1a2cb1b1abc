"""A capsule's new account, written into a network's file and a mine's policy: nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.errors import ConfigError
from sonar.home.capsules import network_followed, replace, trusted_followed
from sonar.home.settings import CapsuleConfig, NetworkConfig
from sonar.protocol.ids import Address, parse_address
from tests.unit.network_file import write_network

A, B, C, OTHER = (parse_address("0x" + digit * 40) for digit in "1234")


def network(folder: Path, *capsules: CapsuleConfig) -> Path:
    path = write_network(folder)
    NetworkConfig.load(path).model_copy(update={"capsules": capsules}).save(path)
    return path


def listed(account: Address, *formerly: Address, number: int = 1) -> CapsuleConfig:
    return CapsuleConfig(url=f"https://capsule{number}.example", account=account, formerly=formerly)


def test_a_file_follows_from_wherever_in_the_chain_it_is(tmp_path: Path) -> None:
    for before, after in (
        (listed(A), listed(C, A, B)),
        (listed(B), listed(C, B)),
        (listed(B, A), listed(C, A, B)),
        (listed(C, A, B), listed(C, A, B)),
    ):
        path = network(tmp_path, before, listed(OTHER, number=2))
        text = network_followed(path, [(A, B, C)])
        assert (text is None) == (before == after)
        if text is not None:
            replace(path, text)
        assert NetworkConfig.load(path).capsules == (after, listed(OTHER, number=2))
        assert network_followed(path, [(A, B, C)]) is None  # and once more
        assert path.read_text().startswith("# A Sonar network.")


def test_a_relative_path_stays_relative(tmp_path: Path) -> None:
    path = network(tmp_path, listed(A))
    lines = path.read_text().splitlines()
    own = [line for line in lines if line.startswith("path = ")]
    path.write_text("\n".join('path = "here"' if line in own else line for line in lines))
    replace(path, network_followed(path, [(A, B)]) or "")
    assert 'path = "here"' in path.read_text()


def test_an_account_twice_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path, listed(A), listed(B, number=2))
    with pytest.raises(ConfigError, match="occurs twice"):
        network_followed(path, [(A, B)])


@pytest.mark.parametrize(
    "trusted",
    [f'["{A}"]', f'[\n  "{A.lower()}", # ours\n  "{OTHER}",\n]', f"['{B}', '{OTHER}']", f'["{C}"]', "[]"],
)
def test_a_policy_keeps_all_but_the_account(tmp_path: Path, trusted: str) -> None:
    path = tmp_path / "mine.toml"
    text = (
        f"# {A} was the first\n[policy]\nmax_rounds = 3\r\n[capsules]\ntrusted = {trusted}\nwithout = false\n"
    )
    path.write_bytes(text.encode())
    path.chmod(0o640)
    found = trusted_followed(path, [(A, B, C)])
    if C in trusted or trusted == "[]":
        assert found is None
        return
    assert found is not None
    head, *rest = found.split("\n")
    assert head == text.split("\n", maxsplit=1)[0]
    expected = "\n".join(text.split("\n")[1:])
    for one in (A, A.lower(), B):
        expected = expected.replace(one, C)
    assert "\n".join(rest) == expected
    replace(path, found)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_found_as_text_is_left_to_a_person(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[capsules]\ntrusted = ["0\\u0078{A[2:]}"]\n')
    with pytest.raises(ConfigError, match=str(B)) as caught:
        trusted_followed(path, [(A, B)])
    assert "by hand" in caught.value.hint
