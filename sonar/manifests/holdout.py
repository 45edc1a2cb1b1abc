"""The commitment to a holdout: published with the first model, opened to nobody but who audits.

It binds the scientist to the rows that judge her models before anybody commits to her bounty. The salt hides
the rows from who could guess them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.errors import UsageError
from sonar.protocol import codec
from sonar.protocol.ids import Digest

SALT_BYTES = 32
_DOMAIN = b"sonar holdout v2"


def commitment(salt: bytes, columns: Sequence[str], values: NDArray[np.float64]) -> Digest:
    """Return sha2-256 over domain, salt and the digest of the rows; values float64[rows, len(columns)].

    Columns are features, then targets. Raises UsageError when shapes or the salt's length do not fit.
    """
    if len(salt) != SALT_BYTES:
        raise UsageError(f"a holdout's salt has {SALT_BYTES} bytes, not {len(salt)}")
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise UsageError(f"the holdout has shape {values.shape}, and {len(columns)} columns are named")
    rows = hashlib.sha256(np.ascontiguousarray(values, dtype=">f8").tobytes()).digest()
    header = codec.encode({"columns": list(columns), "rows": len(values), "values": rows})
    return Digest(hashlib.sha256(_DOMAIN + salt + header).digest())
