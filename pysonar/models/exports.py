"""A model in other programs' formats: scikit-learn, ONNX, safetensors. All of them predict the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pysonar.given import require_type
from pysonar.models.base import Portable
from pysonar.models.shown import html_of
from sonar.errors import ClientMissing
from sonar.home.files import expanded, read_bytes
from sonar.home.keystore import write_private

_MAX_BYTES = 1 << 24


class Exports(Portable):
    """A model that can be written in those formats; `pysonar.models.linear.LinearModel` is one."""

    def _repr_html_(self) -> str:
        return html_of(self, self.slopes)

    def to_sklearn(self) -> Any:
        """Return a fitted pipeline of scikit-learn's own estimators that predicts the same.

        It takes float64[n, features], in the order of `features`. Raises ConfigError for a map that
        scikit-learn has no transformer for; ClientMissing.
        """
        try:
            from pysonar.models.pipeline import to_sklearn
        except ModuleNotFoundError as error:
            hint = "pip install 'sonar-network-scientist[sklearn]'"
            raise ClientMissing("a pipeline needs the package scikit-learn", hint=hint) from error
        return to_sklearn(self)

    def to_onnx(self, path: Path | str) -> None:
        """Write the model as an ONNX file: see `pysonar.models.graph`.

        Raises ConfigError for a map that has no nodes there; ClientMissing, KeyFileError.
        """
        from pysonar.models.graph import to_onnx

        require_type(path, Path | str, "path", 'name a file: model.to_onnx("model.onnx")')
        write_private(expanded(path, "onnx"), to_onnx(self))

    def to_safetensors(self, path: Path | str) -> None:
        """Write the model as a safetensors file, which `from_safetensors` reads.

        Raises ClientMissing, KeyFileError.
        """
        from pysonar.models.tensors import to_safetensors

        require_type(path, Path | str, "path", 'name a file: model.to_safetensors("model.safetensors")')
        write_private(expanded(path, "safetensors"), to_safetensors(self))

    @classmethod
    def from_safetensors(cls, path: Path | str) -> Self:
        """Read what `to_safetensors` wrote. Raises ConfigError, ClientMissing."""
        from pysonar.models.tensors import told_in

        require_type(path, Path | str, "path", 'name a file: "model.safetensors"')
        return cls.from_bytes(told_in(read_bytes(path, "safetensors", _MAX_BYTES), str(path)), str(path))
