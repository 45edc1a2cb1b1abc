"""Writes the code that TestToken.sol compiles to beside it: tests need no compiler. `--check` compares."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CODE = HERE / "TestToken.hex"


def compiled() -> str:
    job = {
        "language": "Solidity",
        "sources": {"TestToken.sol": {"content": (HERE / "TestToken.sol").read_text()}},
        "settings": {
            "evmVersion": "cancun",
            "optimizer": {"enabled": True, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"*": {"TestToken": ["evm.bytecode.object"]}},
        },
    }
    solc = HERE.parents[1] / "bin/solc"
    done = subprocess.run(
        [solc, "--standard-json"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    return str(answer["contracts"]["TestToken.sol"]["TestToken"]["evm"]["bytecode"]["object"])


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(CODE.read_text().strip() != compiled())
    CODE.write_text(compiled() + "\n")
