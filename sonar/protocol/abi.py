"""Solidity's ABI for values of a fixed size: each is one word of 32 bytes, and a tuple is its fields' words.

That is all that the contract tells and almost all that it is told. What has no fixed size is left to eth-abi
(`sonar.chain.contract.abi`), which takes 0.1 s to load. Reading is strict: a value has one encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sonar.protocol.keccak import checksummed

WORD = 32
_KIND = re.compile(r"(uint|bytes)([1-9][0-9]{0,2})")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def is_fixed(types: Sequence[str]) -> bool:
    """Tell whether values of these canonical types ("uint8", "(address,bool)") have a fixed size."""
    return all(is_fixed(fields_of(kind)) if kind.startswith("(") else _is_word(kind) for kind in types)


def _is_word(kind: str) -> bool:
    found = _KIND.fullmatch(kind)
    return kind in ("address", "bool") or (found is not None and _size(found) in range(1, WORD + 1))


def _size(found: re.Match[str]) -> int:
    """How many bytes a type has: "uint" counts bits."""
    bits = int(found[2]) * (8 if found[1] == "bytes" else 1)
    return 0 if bits % 8 else bits // 8


@lru_cache(maxsize=256)
def fields_of(kind: str) -> tuple[str, ...]:
    """Return the types of a tuple's fields: of "(address,(uint8,bool))" "address" and "(uint8,bool)"."""
    if not kind.endswith(")"):
        return ("",)  # an array of tuples
    parts, depth, start = [], 0, 1
    for at, character in enumerate(kind):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if (character == "," and depth == 1) or at == len(kind) - 1:
            parts.append(kind[start:at])
            start = at + 1
    return tuple(parts)


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return the words of values. Raises ValueError for one that does not fit its type."""
    if len(types) != len(values):
        raise ValueError(f"{len(values)} values for {len(types)} types")
    return b"".join(
        encode(fields_of(kind), value) if kind.startswith("(") else _word(kind, value)
        for kind, value in zip(types, values, strict=True)
    )


def _word(kind: str, value: Any) -> bytes:
    if kind == "address":
        if isinstance(value, str) and _ADDRESS.fullmatch(value):
            return bytes.fromhex(value[2:]).rjust(WORD, b"\0")
    elif kind == "bool":
        if isinstance(value, bool):
            return int(value).to_bytes(WORD)
    elif (found := _KIND.fullmatch(kind)) is not None:
        size = _size(found)
        if found[1] == "bytes" and isinstance(value, bytes) and len(value) == size:
            return value.ljust(WORD, b"\0")
        whole = isinstance(value, int) and not isinstance(value, bool)
        if found[1] == "uint" and whole and 0 <= value < 1 << 8 * size:
            return int(value).to_bytes(WORD)
    raise ValueError(f"{str(value)[:80]!r} does not fit {kind}")


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return the values that `data` encodes; addresses are checksummed. Raises ValueError."""
    words = (data[start : start + WORD] for start in range(0, len(data), WORD))
    values = _read(types, words)
    if left := sum(map(len, words)):
        raise ValueError(f"it has {left} bytes too many")
    return values


def _read(types: Sequence[str], words: Iterator[bytes]) -> tuple[Any, ...]:
    return tuple(
        _read(fields_of(kind), words) if kind.startswith("(") else _value(kind, next(words, b""))
        for kind in types
    )


def _value(kind: str, word: bytes) -> Any:
    if len(word) != WORD:
        raise ValueError("it is too short")
    if kind == "address":
        value: Any = checksummed(word[12:])
    elif kind == "bool":
        value = word[-1] == 1
    elif kind.startswith("uint"):
        value = int.from_bytes(word)
    else:
        value = word[: int(kind.removeprefix("bytes"))]
    if _word(kind, value) != word:
        raise ValueError(f"0x{word.hex()} is no {kind}")
    return value
