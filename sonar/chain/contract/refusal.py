"""The base of a contract's refusals: a custom error of Solidity as an exception."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, ClassVar

from sonar.errors import MarketError
from sonar.protocol.ids import ETHER
from sonar.protocol.phase import Status


class Refusal(MarketError):
    """Base of the contract's own errors: the annotations of a class are its fields, in the ABI's order.

    `told` says it in plain words, with the fields' values in braces.
    """

    told: ClassVar[str]
    next_step: ClassVar[str] = ""

    def __init__(self, *values: Any) -> None:
        fields = list(get_annotations(type(self)))
        for name, value in zip(fields, values, strict=True):
            setattr(self, name, value)
        shown = {name: _shown(value) for name, value in zip(fields, values, strict=True)}
        if shown.get("asset") == ETHER:
            shown["asset"] = "ether"
        super().__init__(self.told.format(**shown), hint=self.next_step)
        self.values = values


def _shown(value: Any) -> str:
    if isinstance(value, Status):
        return value.name.title()
    if isinstance(value, bytes):
        text = value.hex()
        return f"0x{text[:8]}…{text[-4:]}" if len(text) > 16 else f"0x{text}"
    return repr(value) if isinstance(value, str) and not value.startswith("0x") else str(value)
