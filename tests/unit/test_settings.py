"""The network file: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonar.errors import ConfigError
from sonar.home.settings import FaucetConfig, NetworkConfig, StoreConfig
from sonar.protocol.ids import Address

CONTRACT = Address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
PEER = "12D3KooWCqYwg9Y4GFQcxfFKRAZR6KCmuJkk5ixhLZobZ8iHtkL4"
GOOD = f"""
v = 2
name = "test"
chain_id = 31337
rpc_url = "http://127.0.0.1:8545"
contract = "{CONTRACT}"
code_hash = "0x{"ab" * 32}"
[store]
kind = "folder"
path = "store"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "network.toml"
    path.write_text(text)
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    network = NetworkConfig(
        name='quoted "name" é',
        dev=True,
        client="anvil",
        chain_id=5,
        rpc_url="https://node.example/key",
        contract=CONTRACT,
        code_hash=b"\xab" * 32,
        deployed_block=7,
        confirmations=3,
        store=StoreConfig(
            kind="kubo",
            api_url="http://127.0.0.1:5001",
            bootstrap=(f"/ip4/1.2.3.4/tcp/4001/p2p/{PEER}", f"/dns4/sonar/tcp/4001/p2p/{PEER}"),
            swarm_key_file="/etc/sonar/swarm.key",
            public=True,
        ),
        faucet=FaucetConfig(key_file=str(tmp_path / "faucet.key")),
    )
    network.save(tmp_path / "network.toml")
    assert NetworkConfig.load(tmp_path / "network.toml") == network


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_name_survives(tmp_path: Path, name: str) -> None:
    network = NetworkConfig.load(write(tmp_path, GOOD)).model_copy(update={"name": name})
    network.save(tmp_path / "again.toml")
    assert NetworkConfig.load(tmp_path / "again.toml") == network


def test_a_file_of_the_first_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"v in .*network file has version 1, from an older Sonar; this one reads version 2"
    ) as caught:
        NetworkConfig.load(write(tmp_path, GOOD.replace("v = 2\n", "")))
    assert "new home" in caught.value.hint


def test_a_file_of_another_kind_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a network file") as caught:
        NetworkConfig.load(write(tmp_path, 'name = "diabetes"\nrounds = 4\n'))
    assert "network.toml" in caught.value.hint


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    plain = NetworkConfig.load(write(tmp_path, GOOD))
    (tmp_path / "network.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert NetworkConfig.load(tmp_path / "network.toml") == plain


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    network = NetworkConfig.load(write(tmp_path, GOOD))
    assert network.store.path == str(tmp_path.resolve() / "store")
    assert (network.dev, network.confirmations, network.faucet) == (False, 1, None)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("chain_id = 31337", "chain_id = '31337'", "chain_id"),
        ("chain_id = 31337", "chain_id = 0", "chain_id"),
        ("v = 2", "v = 3", "v in .*has version 3, from a newer Sonar than this one, which reads version 2"),
        ("chain_id = 31337", "", "chain_id"),
        ("http://127", "ftp://127", "rpc_url"),
        (CONTRACT, CONTRACT.replace("5aA", "5aa"), "contract.*checksum"),
        (CONTRACT, "0x12", "contract"),
        ('"0xab', '"0xa', "code_hash"),
        ('"folder"', '"floppy"', "store.kind"),
        ('path = "store"', "", "store.path"),
        ("[store]", "extra = 1\n[store]", "extra"),
        ("[store]", "confirmations = 0\n[store]", "confirmations"),
        ("[store]", "dev = 1\n[store]", "dev"),
        ('kind = "folder"', 'kind = "folder"\n[faucet]\nkey_file = "f"', "faucet"),
        ("name = ", "name ", "TOML"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=named):
        NetworkConfig.load(write(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1:abc",
        "127.0.0.1:99999",
        "a\\u0000b",
        "[::1",
        "[v1.x]",
        "xn--",
        "...",
        "a" * 64,
        "\u0660",
        "",
    ],
)
def test_an_address_that_nobody_can_be_asked_at_is_refused_with_its_field(place: str, tmp_path: Path) -> None:
    text = GOOD.replace("127.0.0.1:8545", place)
    with pytest.raises(ConfigError, match=r"rpc_url in .* not an address like http:"):
        NetworkConfig.load(write(tmp_path, text))


@pytest.mark.parametrize(
    "address",
    [
        "ftp://user:s3cret@node.example/s3cret",
        "user:s3cret@node.example/s3cret",
        "https://node.example:99999/s3cret?key=s3cret",
        "https://node.example/s3cret with a space",
        "http://[::1/s3cret",
    ],
)
@pytest.mark.parametrize("field", ["rpc_url", "api_url"])
def test_a_wrong_address_is_told_without_its_secrets(field: str, address: str, tmp_path: Path) -> None:
    text = GOOD.replace("http://127.0.0.1:8545", address) if field == "rpc_url" else GOOD
    text = text.replace("[store]", f'[store]\napi_url = "{address}"', 1) if field == "api_url" else text
    with pytest.raises(ConfigError, match=f"{field} in .* not an address like http:") as caught:
        NetworkConfig.load(write(tmp_path, text))
    assert "s3cret" not in str(caught.value) + caught.value.hint
    listed = GOOD.replace('"http://127.0.0.1:8545"', f'["{address}"]')
    with pytest.raises(ConfigError, match="rpc_url") as caught:
        NetworkConfig.load(write(tmp_path, listed))
    assert "://" not in address or "s3cret" not in str(caught.value)


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000, "nonsense"])
def test_toml_that_strains_its_parser_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network\.toml: is not TOML"):
        NetworkConfig.load(write(tmp_path, f"more = {value}\n{GOOD}"))


def test_only_development_networks_have_a_faucet(tmp_path: Path) -> None:
    text = f'{GOOD}[faucet]\nkey_file = "faucet.key"\n'
    assert NetworkConfig.load(write(tmp_path, "dev = true\n" + text)).faucet
    with pytest.raises(ConfigError, match="only networks marked dev = true have one"):
        NetworkConfig.load(write(tmp_path, text))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no network file") as caught:
        NetworkConfig.load(tmp_path / "network.toml")
    assert "--network" in caught.value.hint


def test_what_is_no_network_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it looks like UTF-16"):
        NetworkConfig.load(path)
    path.write_bytes(b"#" * 100_000)
    with pytest.raises(ConfigError, match="more than 65536 bytes"):
        NetworkConfig.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        NetworkConfig.load(tmp_path)


@pytest.mark.parametrize(
    "peer",
    [
        "/ip4/1.2.3.4/tcp/4001",
        f"/ip4/1.2.3.4/udp/4001/quic-v1/p2p/{PEER}",
        f"/ip4/1.2.3.4/tcp/65536/p2p/{PEER}",
        f"/ip4/1.2.3.4/tcp/4001/p2p/{PEER[:30]}",
        f"/dns4/a b/tcp/4001/p2p/{PEER}",
        "auto",
        "",
    ],
)
def test_a_bootstrap_peer_is_an_address_over_tcp_with_an_identity(tmp_path: Path, peer: str) -> None:
    text = GOOD.replace('"folder"', '"kubo"') + f"bootstrap = [{json.dumps(peer)}]\n"
    with pytest.raises(ConfigError, match=r"store\.bootstrap\.0"):
        NetworkConfig.load(write(tmp_path, text))


def test_the_swarm_key_is_found_beside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"folder"', '"kubo"') + 'swarm_key_file = "swarm.key"\n')
    assert NetworkConfig.load(path).store.swarm_key_file == str(tmp_path / "swarm.key")
