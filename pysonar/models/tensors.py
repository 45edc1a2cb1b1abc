"""A model as a safetensors file: its weights as an array that other programs read, and all else as text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pysonar.models.base import Portable
from sonar.errors import ClientMissing, ConfigError
from sonar.families.quadratic.spec import by_output

_INSTALL = "pip install 'sonar-network-scientist[safetensors]'"
_WRITTEN = "give a file that `pysonar export --safetensors` wrote"


def to_safetensors(model: Portable) -> bytes:
    """Return a model as a safetensors file: `weights` float64[outputs, width], the bias last in each.

    The metadata has `sonar`: the model as `to_bytes` writes it, without the weights. Raises
    ClientMissing.
    """
    save, _ = _library()
    document = json.loads(model.to_bytes())
    del document["weights"]
    weights = np.ascontiguousarray(by_output(model.spec, model.weights).T)
    data: bytes = save({"weights": weights}, metadata={"sonar": json.dumps(document)})
    return data


def told_in(data: bytes, name: str) -> bytes:
    """Return as `to_bytes` does the model that `to_safetensors` wrote; errors call it `name`.

    Raises ConfigError, ClientMissing.
    """
    _, load = _library()
    try:
        weights = load(data)["weights"]
        size = int.from_bytes(data[:8], "little")
        document = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["sonar"])
        document["weights"] = np.asarray(weights, dtype=np.float64).ravel().tolist()
        return json.dumps(document).encode()
    except Exception as error:  # the library and what is inside may raise anything for a hostile file
        problem = f"is not a model in the safetensors format: {str(error)[:200]}"
        raise ConfigError(name, problem, hint=_WRITTEN) from error


def _library() -> tuple[Any, Any]:
    try:
        from safetensors.numpy import load, save
    except ImportError as error:
        raise ClientMissing("such files need the package safetensors", hint=_INSTALL) from error
    return save, load
