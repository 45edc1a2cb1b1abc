"""Strict DAG-CBOR without floats: every value has exactly one encoding, and everything else is refused.

Theory of operation. A manifest is named by the hash of its bytes, so two encodings of one value would be
two names for it. `decode` therefore accepts only what `encode` would have written: shortest heads, definite
lengths, map keys that are text, unique and sorted by (length, bytes), tag 42 alone (a link, read as a `Cid`,
never as bytes), no floats, no undefined, nothing after the value.

The codec is ours because the common library (libipld 3.5) confuses links and bytes: it reads links as plain
bytes, and writes as a link any bytes that parse as a CID of any kind, which 1 in 2,400 honest digests and 1
in 4,300 addresses do. Such a value could not be in a manifest at all, and a mine that ground its address for
a few seconds could keep a round's evidence from being published. The tests compare ours with libipld and
dag-cbor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NoReturn

from sonar.errors import BlobTooLarge, ManifestError, UsageError
from sonar.protocol.ids import Cid

Value = None | bool | int | bytes | str | Cid | Sequence["Value"] | Mapping[str, "Value"]

MAX_BYTES = 65_536
MAX_DEPTH = 8
_KEPT = 256
"""For how many kinds of maps the order of the keys is kept."""

_UINT, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_CONSTANTS: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}
_LINK_HEAD = b"\xd8\x2a"
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}  # of a head with that width; less is not shortest


def encode(value: Value) -> bytes:
    """Return the canonical encoding of `value`.

    Raises UsageError for what has none: floats, integers beyond 64 bits, keys that are not text, lone
    surrogates.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, what: str = "manifest") -> Value:
    """Return the value whose canonical encoding is `data`: lists as `list`, maps as `dict`, links as `Cid`.

    Raises BlobTooLarge before it parses more than `max_bytes`, ManifestError (naming `what`) otherwise.
    """
    if len(data) > max_bytes:
        raise BlobTooLarge(what, len(data), max_bytes)
    reader = _Reader(bytes(data), what)
    value = reader.value(0)
    if reader.at != len(data):
        reader.fail(f"{len(data) - reader.at} bytes after the end of the value")
    return value


def _write(out: bytearray, value: Value) -> None:
    if value is None or isinstance(value, bool):
        out.append(0xF6 if value is None else 0xF5 if value else 0xF4)
    elif isinstance(value, int):
        out += _head(_UINT if value >= 0 else _NEGATIVE, value if value >= 0 else -1 - value)
    elif isinstance(value, bytes):
        out += _head(_BYTES, len(value))
        out += value
    elif isinstance(value, str):
        out += _text(value)
    elif isinstance(value, Cid):
        out += _LINK_HEAD
        _write(out, b"\0" + value.to_bytes())  # DAG-CBOR puts the multibase prefix 0 before a binary CID
    elif isinstance(value, Mapping):
        out += _head(_MAP, len(value))
        for key, written in _sorted_keys(tuple(value)):
            out += written
            _write(out, value[key])
    elif isinstance(value, (list, tuple)):
        out += _head(_LIST, len(value))
        for item in value:
            _write(out, item)
    else:
        raise UsageError(f"a manifest cannot hold a {type(value).__name__}")


@lru_cache(maxsize=_KEPT)
def _sorted_keys(keys: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """The keys of a map in their order, each with its encoding: a program writes few kinds of maps."""
    if not all(isinstance(key, str) for key in keys):
        raise UsageError("a manifest's map cannot have keys other than text")
    written = [(key, _text(key)) for key in keys]
    return tuple(sorted(written, key=lambda one: (len(one[1]), one[1])))


def _text(text: str) -> bytes:
    try:
        written = text.encode()
    except UnicodeEncodeError:
        raise UsageError("a manifest cannot hold text with lone surrogates") from None
    return _head(_TEXT, len(written)) + written


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for info, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes((major << 5 | info,)) + argument.to_bytes(width, "big")
    raise UsageError("a manifest cannot hold an integer beyond 64 bits")


class _Reader:
    """A cursor over hostile bytes. It checks before it reads, and allocates nothing on the word of a declared
    length.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.what, self.at = data, what, 0

    def fail(self, problem: str) -> NoReturn:
        raise ManifestError(self.what, f"{problem} (byte {self.at})")

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            self.fail(f"ends early: {count} more bytes declared, {len(self.data) - self.at} there")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self) -> tuple[int, int]:
        """Return (major type, argument)."""
        if self.at == len(self.data):
            self.take(1)
        first = self.data[self.at]
        self.at += 1
        major, info = first >> 5, first & 31
        return major, info if info < 24 else self.argument(info)

    def argument(self, info: int) -> int:
        if info not in _WIDTHS:
            self.fail("indefinite or reserved length")
        argument = int.from_bytes(self.take(_WIDTHS[info]), "big")
        if argument < _SMALLEST[info]:
            self.fail("a number or length is not in its shortest form")
        return argument

    def value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH}")
        if self.at < len(self.data) and self.data[self.at] >> 5 == _SIMPLE:
            return self.constant()
        major, argument = self.head()
        if major == _UINT:
            return argument
        if major == _BYTES:
            return self.take(argument)
        if major == _TEXT:
            return self.text(argument)
        if major == _LIST:
            return [self.value(depth + 1) for _ in range(self.count(argument, 1))]
        if major == _MAP:
            return self.map(self.count(argument, 2), depth)
        return -1 - argument if major == _NEGATIVE else self.link(argument)

    def constant(self) -> bool | None:
        first = self.take(1)[0]
        if first not in _CONSTANTS:
            self.fail("floats, undefined and other simple values are not allowed")
        return _CONSTANTS[first]

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            self.fail("text that is not UTF-8")

    def count(self, items: int, bytes_each: int) -> int:
        if items * bytes_each > len(self.data) - self.at:
            self.fail(f"declares {items} items, which the rest cannot hold")
        return items

    def map(self, pairs: int, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        last = (-1, b"")
        for _ in range(pairs):
            major, length = self.head()
            if major != _TEXT:
                self.fail("a map's key is not text")
            start, key = self.at, self.text(length)
            order = length, self.data[start : self.at]
            if order <= last:
                self.fail("map keys are not sorted, or one occurs twice")
            last = order
            result[key] = self.value(depth + 1)
        return result

    def link(self, tag: int) -> Cid:
        if tag != 42:
            self.fail("a tag other than 42 (link)")
        major, length = self.head()
        if major != _BYTES:
            self.fail("a link that is not bytes")
        body = self.take(length)
        if body[:1] != b"\0":
            self.fail("a link without the prefix 0")
        try:
            return Cid.from_bytes(body[1:])
        except ManifestError as error:
            self.fail(f"a link that is {error.problem}")
