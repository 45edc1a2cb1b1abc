"""Parties that are forked from one process draw randomness of their own, however much it had drawn before."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from sonar.processes import forkserver
from sonar.processes.supervisor import Supervisor
from tests.unit.paillier_keys import small_key

PARTIES = 4
# What is loaded before the fork has drawn from every source, so that each has a state to copy.
DRAWS = """
import os, random, secrets, ssl, tempfile, uuid
import numpy as np
from eth_account import Account
from pysonar.keys.key import Key
from sonar.paillier.public import PublicKey

def draw():
    key = Key.generate(1024, insecure=True)
    public = PublicKey(int(os.environ["MODULUS"]))
    w_int = [0] * 60
    return {
        "secrets": secrets.token_hex(),
        "random": str(random.random()),
        "openssl": ssl.RAND_bytes(16).hex(),
        "uuid": str(uuid.uuid4()),
        "file": next(tempfile._get_candidate_names()),
        "numpy": str(np.random.random()),
        "numpy's generator": str(np.random.default_rng().random()),
        "account": Account.create().address,
        "key": str(key.public.n),
        "one encryption": str(key.encrypt_weights([0])[0]),
        "many encryptions": str(key.encrypt_weights(w_int)[0]),
        "a mine's r": str(public.blinding(secrets.randbelow)),
    }

draw()
"""
PARTY = """
import json, os, signal, socket, sys
from drawn_before import draw
told = draw()
told["files"] = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1]
told["signals"] = [str(signal.getsignal(one)) for one in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE)]
told["wakeup"] = signal.set_wakeup_fd(-1)
told["env"] = sorted(name for name in os.environ if name.startswith("SECRET_"))
print(json.dumps(told), flush=True)
"""


@pytest.mark.skipif(not forkserver.SUPPORTED, reason="programs are forked on Linux only")
def test_forked_parties_share_no_randomness_and_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drawn_before.py").write_text(DRAWS)
    (tmp_path / "a_party.py").write_text(PARTY)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("MODULUS", str(small_key().public.n))
    told: list[tuple[str, dict[str, object]]] = []
    with Supervisor(tmp_path / "logs") as found:
        found.load("drawn_before")
        for i in range(PARTIES):
            found.start(f"p{i}", ["a_party"], env={f"SECRET_{i}": "x"})
        while len(told) < PARTIES:
            line = found.next_line(60)
            assert line is not None
            if line.text is not None:
                told.append((line.party, json.loads(line.text)))
    sources = set(told[0][1]) - {"files", "signals", "wakeup", "env"}
    assert len(sources) == 12
    for source in sources:
        assert len({each[source] for _, each in told}) == PARTIES, source
    for party, each in told:
        assert each["files"] == [0, 1, 2], each["files"]
        assert each["env"] == [f"SECRET_{party[1:]}"]
        assert each["wakeup"] == -1
        default = str(signal.Handlers.SIG_DFL)
        assert each["signals"] == [default, default, str(signal.Handlers.SIG_IGN)]
