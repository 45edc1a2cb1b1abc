"""The manifest of the mines that may commit to a bounty."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.protocol import allowlist
from sonar.protocol.record import AddressField, Manifest, is_ascending


class AllowList(Manifest):
    """The mines that may commit to a bounty, ascending: 20 bytes each in `mines`."""

    max_bytes: ClassVar[int] = 1 << 18  # 10,000 addresses take 210,000

    v: Literal[2] = 2
    kind: Literal["allowlist"] = "allowlist"
    mines: Annotated[
        tuple[AddressField, ...], Field(strict=False, min_length=1, max_length=allowlist.MAX_MINES)
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending(self.mines):
            raise ValueError("mines: are not ascending, or one occurs twice")
        return self
