"""The committed contract artifact: loadable, made from the sources in the tree, and equal to a rebuild."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, Web3

from sonar.chain.contract import abi
from sonar.chain.contract.abi import training_market, verify_file
from tests.script_kit import load

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/build_contracts.py"
CALLS = {"postBounty", "commit", "reveal", "settle", "expire", "close", "withdraw"}

needs_node = pytest.mark.skipif(
    not (shutil.which("node") and (ROOT / "node_modules/solc").is_dir()),
    reason="rebuilding the contract needs Node.js and `npm install --no-save`",
)


@pytest.fixture(scope="module")
def build() -> ModuleType:
    return load("build_contracts", SCRIPT)


def test_abi_has_every_call_and_error() -> None:
    entries = training_market().abi
    kinds = ("function", "error", "event")
    names = {kind: {each["name"] for each in entries if each["type"] == kind} for kind in kinds}
    assert names["function"] >= CALLS
    assert {"CohortFull", "WrongStatus", "SealMismatch", "TransferFailed"} <= names["error"]
    # Every error that the sources declare can reach a caller, so that a client knows them all.
    declared = (ROOT / "contracts/src/Errors.sol").read_text().count("    error ")
    library = {"ReentrancyGuardReentrantCall", "SafeCastOverflowedUintDowncast", "SafeERC20FailedOperation"}
    assert len(names["error"] - library) == declared
    assert len(names["event"]) == 11


def test_source_digest_is_that_of_the_tree(build: ModuleType) -> None:
    assert not abi.succession().immutables  # its code is the same wherever it lies
    for artifact in (training_market(), abi.committee()):
        assert artifact.source_digest == build.source_digest(), (
            "contracts/src changed: run scripts/build_contracts.py and commit the artifacts"
        )


def test_source_digest_sees_every_change(build: ModuleType, tmp_path: Path) -> None:
    copy = tmp_path / "contracts/src"
    shutil.copytree(ROOT / "contracts/src", copy)
    same = build.source_digest(tmp_path)
    assert same == build.source_digest()
    (copy / "Payout.sol").rename(copy / "Payments.sol")
    renamed = build.source_digest(tmp_path)
    (copy / "Payments.sol").write_text((copy / "Payments.sol").read_text() + "\n")
    assert len({same, renamed, build.source_digest(tmp_path)}) == 3


def test_a_deployment_has_the_code_that_the_artifact_foretells() -> None:
    artifact = training_market()
    web3 = Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend())))
    factory = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    sent = factory.constructor(37).transact({"from": web3.eth.accounts[0]})
    address = web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
    assert address is not None
    assert bytes(web3.eth.get_code(address)) == artifact.runtime_code(37)
    assert artifact.runtime_code(37) != artifact.runtime_code(38)
    assert web3.eth.contract(address, abi=artifact.abi).functions.MIN_WINDOW().call() == 37


@pytest.mark.parametrize("seconds", [0, -1, 2**24])
def test_runtime_code_refuses_what_cannot_be_deployed(seconds: int) -> None:
    with pytest.raises(ValueError, match=f"min_window_s is {seconds}"):
        training_market().runtime_code(seconds)


@needs_node
def test_a_rebuild_in_any_folder_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("contracts/src", "bin", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "foundry.toml", tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    folder = "sonar/chain/contract/artifacts"
    (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir("/")
    copy = load("build_contracts_elsewhere", tmp_path / "scripts/build_contracts.py")
    monkeypatch.setattr(copy, "compiled", cache(copy.compiled))  # the same input is compiled once

    def ends_with(code: int, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [str(copy.__file__), *arguments])
        assert copy.main() == code
        return capsys.readouterr().err

    ends_with(0)
    assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [
        "Committee.json",
        "Committee.verify.json",
        "Succession.json",
        "Succession.verify.json",
        "TrainingMarket.json",
        "TrainingMarket.verify.json",
    ]
    for written in (tmp_path / folder).iterdir():
        assert written.read_bytes() == (ROOT / folder / written.name).read_bytes()
    ends_with(0, "--check")
    name, verify = f"{folder}/TrainingMarket.json", f"{folder}/TrainingMarket.verify.json"

    # And --check finds a single changed byte of code, and says where.
    good = (tmp_path / name).read_bytes()
    artifact = json.loads(good)
    artifact["bytecode"] = artifact["bytecode"][:-1] + ("0" if artifact["bytecode"][-1] != "0" else "1")
    (tmp_path / name).write_text(json.dumps(artifact, indent=1) + "\n")
    assert "not what the sources compile to (bytecode)" in ends_with(1, "--check")

    # Nor does it take sources for explorers that are others.
    (tmp_path / name).write_bytes(good)
    text = (ROOT / verify).read_text()
    (tmp_path / verify).write_text(text.replace("minWindow == 0", "minWindow == 1"))
    assert "not made of the sources and settings" in ends_with(1, "--check")


def test_each_immutable_is_known_by_its_name() -> None:
    assert set(training_market().immutables) == {"MIN_WINDOW"}
    assert set(abi.committee().immutables) == {"THRESHOLD", *(f"MEMBER_{place}" for place in range(7))}
    for artifact in (training_market(), abi.committee()):
        for places in artifact.immutables.values():
            for place in places:
                code = artifact.deployed_bytecode[place.start - 1 : place.start + place.length]
                assert code == b"\x7f" + bytes(32)  # PUSH32, of what the constructor puts there


def test_explorers_get_whole_sources_and_the_exact_compiler() -> None:
    job = json.loads(verify_file().read_text())
    assert "contracts/src/TrainingMarket.sol" in job["sources"]
    for other in ("Committee", "Succession"):
        assert f"contracts/src/{other}.sol" in json.loads(verify_file(other).read_text())["sources"]
    assert all(set(source) == {"content"} for source in job["sources"].values())  # no address to fetch from
    settings = json.loads((verify_file().parent / "TrainingMarket.json").read_text())["compiler"]
    assert {key: job["settings"][key] for key in ("evmVersion", "optimizer", "metadata")} == {
        key: settings[key] for key in ("evmVersion", "optimizer", "metadata")
    }


@needs_node
def test_the_contracts_of_the_tests_are_what_their_sources_compile_to() -> None:
    command = [sys.executable, str(ROOT / "tests/tokens/compile.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0
