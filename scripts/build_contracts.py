#!/usr/bin/env python3
"""Build the contracts' artifacts, or prove that the committed ones are what the sources compile to.

    scripts/build_contracts.py            compile and write sonar/chain/contract/artifacts/*.json
    scripts/build_contracts.py --check    compile in memory; exit 1 if a committed file differs in a byte

Beside each goes its .verify.json, the compiler's whole input with all sources in it, which block explorers
and Sourcify take; the check proves that it compiles to the artifact's code.

Needs Node and `npm install --no-save`, nothing else. The compiler's settings are read from foundry.toml, so
that the bytes which are tested are the bytes which are shipped; sources go in under names relative to the
repository, so that the result depends on nothing but them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import posixpath
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = "contracts/src"
CONTRACTS = ("TrainingMarket", "Committee", "Succession")
ARTIFACTS = ROOT / "sonar/chain/contract/artifacts"
LIBRARIES = {"@openzeppelin/": "node_modules/@openzeppelin/"}
IMPORT = re.compile(r'^import\s+(?:\{[^}]*\}\s+from\s+)?"([^"]+)";', re.MULTILINE)


class BuildError(Exception):
    """The contracts do not build, or the result differs from what is committed."""


def source_digest(root: Path = ROOT) -> str:
    """Sha2-256 in hex over names and contents of all Solidity files under contracts/src, in order of name."""
    digest = hashlib.sha256()
    folder = root / SOURCES
    for path in sorted(folder.rglob("*.sol")):
        for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def collect_sources(entry: str) -> dict[str, dict[str, str]]:
    """The file `entry` and all it imports, directly or not, by the names that the compiler knows them by."""
    sources: dict[str, dict[str, str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        path = name
        for prefix, folder in LIBRARIES.items():
            if name.startswith(prefix):
                path = folder + name.removeprefix(prefix)
        try:
            content = (ROOT / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BuildError(
                f"{path} is missing; run `npm install --no-save` first if it belongs to a library"
            ) from None
        sources[name] = {"content": content}
        for target in IMPORT.findall(content):
            relative = target.startswith(".")
            waiting.append(
                posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if relative else target
            )
    return dict(sorted(sources.items()))


def compiler_settings() -> dict[str, Any]:
    """The settings of foundry.toml's default profile, as the compiler's standard input takes them."""
    profile = tomllib.loads((ROOT / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
    return {
        "evmVersion": profile["evm_version"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
    }


def run_solc(*arguments: str, stdin: str = "") -> str:
    """Standard output of bin/solc."""
    try:
        done = subprocess.run(
            [str(ROOT / "bin/solc"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    except OSError as error:
        raise BuildError(f"bin/solc does not start: {error}; it needs Node on PATH") from error
    if done.returncode != 0:
        raise BuildError(
            f"bin/solc ended with {done.returncode}; run `npm install --no-save`?\n{done.stderr.strip()}"
        )
    return done.stdout


def is_ours(found: dict[str, Any]) -> bool:
    """Whether a message of the compiler must stop the build: every error, and warnings outside libraries."""
    where = str((found.get("sourceLocation") or {}).get("file", SOURCES))
    return found["severity"] == "error" or (found["severity"] == "warning" and where.startswith(SOURCES))


def entry_of(contract: str) -> str:
    """The file that a contract stands in, as the compiler knows it."""
    return f"{SOURCES}/{contract}.sol"


def compiler_input(contract: str) -> dict[str, Any]:
    """The whole input of the compiler for one contract: literal sources, settings, and what to answer."""
    wanted = [
        "abi",
        "evm.bytecode.object",
        "evm.deployedBytecode.object",
        "evm.deployedBytecode.immutableReferences",
    ]
    entry = entry_of(contract)
    return {
        "language": "Solidity",
        "sources": collect_sources(entry),
        "settings": compiler_settings() | {"outputSelection": {entry: {contract: wanted, "": ["ast"]}}},
    }


def compiled(contract: str, job: bytes) -> dict[str, Any]:
    """What the compiler makes of its whole input. Raises BuildError, on compiler warnings too."""
    answer = json.loads(run_solc("--standard-json", stdin=job.decode()))
    if problems := [found["formattedMessage"] for found in answer.get("errors", []) if is_ours(found)]:
        raise BuildError("the contracts do not compile cleanly:\n" + "\n".join(problems))
    entry = entry_of(contract)
    found: dict[str, Any] = answer["contracts"][entry][contract]
    return found | {"names": dict(immutables(answer["sources"][entry]["ast"]))}


def immutables(tree: Any) -> Iterator[tuple[str, str]]:
    """The names of all immutables in a syntax tree, by the number that the compiler knows each by."""
    if isinstance(tree, list):
        for each in tree:
            yield from immutables(each)
    elif isinstance(tree, dict):
        if tree.get("nodeType") == "VariableDeclaration" and tree.get("mutability") == "immutable":
            yield str(tree["id"]), tree["name"]
        yield from immutables(list(tree.values()))


def artifact_of(contract: str, made: dict[str, Any]) -> bytes:
    """The artifact's bytes."""
    runtime = made["evm"]["deployedBytecode"]
    places = {made["names"][number]: found for number, found in runtime["immutableReferences"].items()}
    artifact = {
        "contract": contract,
        "compiler": {"solc": run_solc("--version").split("Version: ")[1].strip(), **compiler_settings()},
        "sourceDigest": source_digest(),
        "abi": made["abi"],
        "bytecode": "0x" + made["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + runtime["object"],
        "immutableReferences": {
            name: sorted(places[name], key=lambda place: place["start"]) for name in sorted(places)
        },
    }
    return (json.dumps(artifact, indent=1) + "\n").encode()


def check(artifact: Path, built: bytes) -> None:
    """Raise BuildError that names what differs between `built` and the committed artifact."""
    shown = artifact.relative_to(ROOT)
    if not artifact.exists():
        raise BuildError(f"{shown} is missing; run scripts/build_contracts.py and commit it")
    committed = artifact.read_bytes()
    if committed == built:
        return
    try:
        old = json.loads(committed)
        differing = (
            ", ".join(key for key, value in json.loads(built).items() if old.get(key) != value) or "layout"
        )
    except (ValueError, AttributeError):
        differing = "it is not a JSON object"
    raise BuildError(
        f"{shown} is not what the sources compile to ({differing or 'layout'}); rebuild and commit it"
    )


def build(contract: str, checking: bool) -> None:
    """Write or check the two files of one contract. Raises BuildError."""
    artifact = ARTIFACTS / f"{contract}.json"
    verify = artifact.with_suffix(".verify.json")
    whole = (json.dumps(compiler_input(contract), indent=1) + "\n").encode()
    built = artifact_of(contract, compiled(contract, whole))
    if checking:
        # If these are the same, the committed file's bytes were compiled.
        if not verify.exists() or verify.read_bytes() != whole:
            shown = verify.relative_to(ROOT)
            raise BuildError(f"{shown} is not made of the sources and settings; rebuild and commit it")
        check(artifact, built)
    else:
        artifact.write_bytes(built)
        verify.write_bytes(whole)
    print(f"{'checked' if checking else 'wrote'} {artifact.relative_to(ROOT)}")


def main() -> int:
    """Run the command line; 0 if all is well."""
    parser = argparse.ArgumentParser(description="Build the contracts' artifacts from contracts/src.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if an artifact differs")
    checking = parser.parse_args().check
    try:
        for contract in CONTRACTS:
            build(contract, checking)
    except BuildError as error:
        print(f"build_contracts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
