"""Writes the code of each contract here beside it, so that tests need no compiler. `--check` compares."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = sorted(HERE.glob("*.sol"))


def compiled() -> dict[Path, str]:
    """Return what belongs into each file: the creation code, in hex."""
    job = {
        "language": "Solidity",
        "sources": {source.name: {"content": source.read_text()} for source in SOURCES},
        "settings": {
            "evmVersion": "cancun",
            "optimizer": {"enabled": True, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
        },
    }
    solc = HERE.parents[1] / "bin/solc"
    done = subprocess.run(
        [solc, "--standard-json"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    contracts = json.loads(done.stdout)["contracts"]
    return {
        source.with_suffix(".hex"): contracts[source.name][source.stem]["evm"]["bytecode"]["object"] + "\n"
        for source in SOURCES
    }


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(any(path.read_text() != code for path, code in compiled().items()))
    for path, code in compiled().items():
        path.write_text(code)
