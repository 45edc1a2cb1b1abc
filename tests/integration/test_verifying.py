"""`sonar verify BOUNTY` on a real chain: what is honest holds, and each lie is named with its round."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mine.cli import main as mine
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Rpc
from sonar.cli import app
from sonar.errors import ConfigError
from sonar.localchain import anvil
from sonar.manifests.cohort import CohortManifest
from sonar.protocol.ids import Cid, hex32
from sonar.store.folder import FolderStore
from sonar.store.kubo.store import KuboStore
from sonar.telling.documents import read, write
from sonar.telling.terminal import run_app
from sonar.telling.verdicts import BountyVerified, exit_code, print_verified
from sonar.verifying.reading import verify
from tests.audited_kit import Audited, Posted, false, kinds
from tests.kubo_kit import needs_kubo, swarm_in

pytestmark = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    made = Audited(tmp_path_factory.mktemp("audited"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def honest(audited: Audited) -> Posted:
    return audited.run()


# ---- honest


def test_an_honest_bounty_holds_and_its_signers_are_named(audited: Audited, honest: Posted) -> None:
    told = audited.verify(honest)
    assert (told.result, exit_code(told), false(told), kinds(told, "unknown")) == ("holds", 0, [], [])
    assert [(one.round, one.ended) for one in told.rounds] == [(0, "posted"), (1, "settled"), (2, "settled")]
    first, _, third = (capsule.address for capsule in audited.capsules)
    assert [one.signed_by for one in told.rounds] == [[], [first, third], [first, third]]
    assert (told.auditors, told.threshold) == ([c.address for c in audited.capsules], 2)
    for one in told.rounds[1:]:
        assert set(one.held) >= {"record", "seals", "model", "updates", "cohort", "evidence", "payments"}
        assert (one.held["seals"], one.held["updates"], one.held["signature"]) == (3, 3, 1)
    assert read(BountyVerified, write(told)) == told


def test_an_open_bounty_is_checked_as_far_as_it_goes(audited: Audited) -> None:
    posted = audited.post()
    told = audited.verify(posted)
    assert (told.result, told.rounds[1].ended) == ("holds", "open")
    audited.reveal(posted, 1)
    told = audited.verify(posted)
    assert (told.result, told.rounds[1].held["updates"], told.rounds[1].signed_by) == ("holds", 3, [])


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run_app(app, "sonar", ["verify", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_prints_a_table_or_json(
    audited: Audited, honest: Posted, capsys: pytest.CaptureFixture[str]
) -> None:
    network = ("--network", str(audited.network_file))
    name = hex32(honest.event.bounty)
    code, out, err = run(capsys, name[:12], *network)
    assert code == 0
    assert "all" in out
    assert "checks hold" in out
    assert "2 of 3 sign" in out
    assert f"{name} of {audited.scientist.address}" in out
    assert "round 2 of 2" in err  # it tells how far it is
    code, out, _ = run(capsys, name, *network, "--json")
    told = read(BountyVerified, out.splitlines()[-1])
    assert (code, told.result, told.bounty) == (0, "holds", name)


def test_a_mine_verifies_from_its_own_home(
    audited: Audited,
    honest: Posted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home = ["--home", str(tmp_path / "mine")]
    assert mine(["init", *home, "--network", str(audited.network_file), "--dev"]) == 0
    name = hex32(honest.event.bounty)
    capsys.readouterr()
    assert mine(["verify", name[:10], *home, "--json"]) == 0
    told = read(BountyVerified, capsys.readouterr().out.splitlines()[-1])
    assert told == audited.verify(honest)
    assert mine(["verify", "0x7777777777", *home]) == 2


def test_the_contract_alone_is_checked_as_before(
    audited: Audited, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "--network", str(audited.network_file))
    assert (code, "the code that this version ships" in out) == (0, True)


def test_a_bounty_that_is_not_there_is_a_wrong_request(
    audited: Audited, capsys: pytest.CaptureFixture[str]
) -> None:
    network = ("--network", str(audited.network_file))
    for name in ("0x" + "77" * 32, "0x7777777777"):
        code, _, err = run(capsys, name, *network)
        assert (code, "no bounty on this network" in err) == (2, True)
    code, _, err = run(
        capsys, "sixty-four letters that are no hexadecimal digits, as an id would be", *network
    )
    assert (code, "error:" in err) == (2, True)


# ---- the store


def file_of(audited: Audited, cid: Cid) -> Path:
    return audited.store._block(cid.digest)


@pytest.fixture
def spoiled(
    audited: Audited, honest: Posted
) -> Iterator[Callable[[Cid, Callable[[bytes], bytes | None]], None]]:
    """Change or remove a file of the store until the end of the test."""
    before: dict[Path, bytes] = {}

    def spoil(cid: Cid, change: Callable[[bytes], bytes | None]) -> None:
        path = file_of(audited, cid)
        before[path] = path.read_bytes()
        path.chmod(0o600)
        path.unlink()
        if (changed := change(before[path])) is not None:
            path.write_bytes(changed)

    yield spoil
    for path, data in before.items():
        path.unlink(missing_ok=True)
        path.write_bytes(data)


def turned(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_evidence_changed_by_one_byte_is_found(
    audited: Audited, honest: Posted, spoiled: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = honest.evidence[1]
    spoiled(evidence.cid(), turned)
    told = audited.verify(honest)
    ((number, finding),) = false(told)
    assert (number, finding.group, finding.field) == (2, "evidence", "evidence")
    assert evidence.digest().hex() in finding.found
    assert Cid.of_manifest(turned(evidence.to_bytes())).digest.hex() in finding.found
    code, out, _ = run(capsys, hex32(honest.event.bounty), "--network", str(audited.network_file))
    assert (code, "round 2, evidence: expected" in out, "1 check FALSE" in out) == (4, True, True)


@pytest.mark.parametrize("which", ["evidence", "model", "key", "new model", "cohort", "update", "weights"])
def test_a_missing_blob_is_named_and_is_no_lie(
    audited: Audited, honest: Posted, spoiled: Any, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    update = next(iter(honest.updates[0].values())).manifest
    cids = {
        "evidence": honest.evidence[0].cid(),
        "model": honest.models[0].cid(),
        "key": honest.models[0].key,
        "new model": honest.models[1].cid(),
        "cohort": cohort_of(audited, honest, 1).cid(),
        "update": update.blobs[0],
        "weights": honest.models[0].blobs[0],
    }
    spoiled(cids[which], lambda _: None)
    told = audited.verify(honest)
    assert (told.result, exit_code(told), false(told)) == ("unknown", 3, [])
    found = [f.found for one in told.rounds for f in one.findings if f.kind == "unknown"]
    assert any(str(cids[which]) in text for text in found)
    code, out, _ = run(capsys, hex32(honest.event.bounty), "--network", str(audited.network_file))
    assert (code, str(cids[which]) in out.replace("\n", "").replace(" ", "")) == (3, True)


def cohort_of(audited: Audited, posted: Posted, number: int) -> CohortManifest:
    return audited._cohort(posted.event.bounty, number, posted.updates[number - 1])


def test_without_a_store_the_chain_is_checked_alone(audited: Audited, honest: Posted, tmp_path: Path) -> None:
    def nowhere() -> FolderStore:
        raise ConfigError("store", "its folder is not on this machine")

    told = verify(audited.market, nowhere, honest.event)
    assert (told.result, false(told)) == ("unknown", [])
    for one in told.rounds[1:]:
        assert one.held["seals"] == 3
        assert one.held["payments"] > 10
    assert any("not on this machine" in f.found for f in told.rounds[0].findings)


@needs_kubo
def test_through_a_swarm_and_what_that_has_lost(audited: Audited, honest: Posted, tmp_path: Path) -> None:
    with swarm_in(tmp_path) as nodes:
        first = nodes.start("a")
        second = nodes.start("b", *first.addresses())
        giver, taker = KuboStore(first.api_url), KuboStore(second.api_url, get_timeout_s=2)
        for path in (audited.folder / "store").rglob("*"):
            if path.is_file() and len(path.name) == 64:
                for codec in ("raw", "dag-cbor"):
                    giver.put(path.read_bytes(), codec)
        assert verify(audited.market, lambda: taker, honest.event).result == "holds"
        gone = KuboStore(nodes.start("c").api_url, get_timeout_s=0.2)
        told = verify(audited.market, lambda: gone, honest.event)
        assert (told.result, false(told)) == ("unknown", [])


# ---- a node that lies, or has forgotten


class Tampering(httpx.BaseTransport):
    """The chain's answers, after `change` has seen them."""

    def __init__(self, url: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        self._inner, self._url, self._change = httpx.HTTPTransport(), url, change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.read())
        response = self._inner.handle_request(request)
        told = json.loads(response.read())
        asks, tells = (one if isinstance(one, list) else [one] for one in (asked, told))
        by_id = {one["id"]: one for one in tells}
        for one in asks:
            self._change(one, by_id[one["id"]])
        return httpx.Response(200, content=json.dumps(told))


def market_with(audited: Audited, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Market:
    url = audited.chain.url
    return Market.connect(audited.network, Rpc(url, transport=Tampering(url, change)))


def test_a_node_without_old_transactions_leaves_seals_and_signatures_unknown(
    audited: Audited, honest: Posted
) -> None:
    def forget(asked: dict[str, Any], told: dict[str, Any]) -> None:
        if asked["method"] == "eth_getTransactionByHash":
            told["result"] = None

    told = audited.verify(honest, market_with(audited, forget))
    assert (told.result, false(told)) == ("unknown", [])
    assert kinds(told, "unknown").count((1, "signature")) == 1
    assert (0, "id") in kinds(told, "unknown")
    assert sum(name.startswith("seal of") for _, name in kinds(told, "unknown")) == 6


def test_a_node_that_lies_about_a_reveal_is_found_by_the_seal(audited: Audited, honest: Posted) -> None:
    mine, update = next(iter(honest.updates[0].items()))
    other = b"\x55" * 32

    def lie(asked: dict[str, Any], told: dict[str, Any]) -> None:
        if asked["method"] == "eth_getLogs":
            for log in told["result"]:
                if log["data"] == hex32(update.manifest.digest()):
                    log["data"] = hex32(other)

    found = {finding.field for number, finding in false(audited.verify(honest, market_with(audited, lie)))}
    assert f"seal of {mine}" in found


def test_a_node_that_lies_about_a_payment_is_found(audited: Audited, honest: Posted) -> None:
    paid = next(e for e in audited.market.events(0, bounty=honest.event.bounty) if hasattr(e, "fee_units"))

    def lie(asked: dict[str, Any], told: dict[str, Any]) -> None:
        if asked["method"] == "eth_getLogs":
            for log in told["result"]:
                if log["transactionHash"] == paid.tx_hash and int(log["logIndex"], 16) == paid.log_index:
                    words = [log["data"][2 + 64 * i : 66 + 64 * i] for i in range(5)]
                    words[3] = f"{int(words[3], 16) + 1:064x}"
                    log["data"] = "0x" + "".join(words)

    told = audited.verify(honest, market_with(audited, lie))
    # The events contradict each other, so the record does not add up, and nothing is concluded from it.
    assert (1, "events") in kinds(told, "unknown")


def test_a_table_says_what_is_false_first(
    audited: Audited, honest: Posted, capsys: pytest.CaptureFixture[str]
) -> None:
    told = audited.verify(honest)
    print_verified(told, wide=True)
    out = capsys.readouterr().out
    assert audited.capsules[0].address in out
    assert "FALSE" not in out
