"""A model as an ONNX graph, for whatever runs one: the same map and weights, in 64-bit floats.

The graph takes `X` float64[rows, features], in the order of the metadata's `features`. Of amounts it gives
`predictions` float64[rows, targets]; of classes `labels` [rows] and `probabilities` float64[rows, classes].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.models.base import Portable
from pysonar.models.marks import Marks
from sonar.data.fixed import floats, from_q32
from sonar.errors import ClientMissing, ConfigError
from sonar.families.quadratic.losses.base import Matrix
from sonar.families.quadratic.maps.base import BaseStage
from sonar.families.quadratic.maps.bent import Bent
from sonar.families.quadratic.maps.clip import Clip
from sonar.families.quadratic.maps.fourier import Fourier
from sonar.families.quadratic.maps.leaves import Leaves
from sonar.families.quadratic.maps.polynomial import Polynomial
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.spec import by_output

OPSET, IR = 18, 10
"""What runtimes of the last years read."""
_INSTALL = "pip install 'sonar-network-scientist[onnx]'"


class Graph:
    """Nodes and constants of a graph that is being written, in order."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of what it gives."""
        from onnx import helper

        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def _standard(graph: Graph, stage: Any, x: str, width: int) -> str:
    mean, std, clip = stage.constants
    centred = graph.add("Div", graph.add("Sub", x, graph.constant(mean)), graph.constant(std))
    return graph.add("Clip", centred, graph.constant(-clip), graph.constant(clip))


def _clip(graph: Graph, stage: Any, x: str, width: int) -> str:
    clip = from_q32(stage.clip_q32)
    return graph.add("Clip", x, graph.constant(-clip), graph.constant(clip))


def _polynomial(graph: Graph, stage: Any, x: str, width: int) -> str:
    parts = [x]
    for power in range(2, stage.degree + 1):
        factors = np.array(list(combinations_with_replacement(range(width), power)), dtype=np.int64)
        columns = [graph.add("Gather", x, graph.constant(places), axis=1) for places in factors.T]
        product = columns[0]
        for other in columns[1:]:
            product = graph.add("Mul", product, other)
        parts.append(product)
    return graph.add("Concat", *parts, axis=1)


def _fourier(graph: Graph, stage: Any, x: str, width: int) -> str:
    mixed = graph.add("MatMul", x, graph.constant(floats(stage.weights_q32).T.copy()))
    cosines = graph.add("Cos", graph.add("Add", mixed, graph.constant(floats(stage.phases_q32))))
    found = graph.add("Mul", cosines, graph.constant(np.sqrt(2.0 / len(stage.weights_q32))))
    return graph.add("Concat", x, found, axis=1) if stage.beside else found


def _bent(graph: Graph, stage: Any, x: str, width: int) -> str:
    return graph.add("Concat", x, graph.add("Abs", x), axis=1)


def _leaves(graph: Graph, stage: Any, x: str, width: int) -> str:
    from onnx import TensorProto

    marks = Marks.of(stage)
    picked = graph.add("Gather", x, graph.constant(marks.columns), axis=1)
    above = graph.add("Greater", picked, graph.constant(marks.thresholds))
    counted = graph.add(
        "MatMul", graph.add("Cast", above, to=TensorProto.DOUBLE), graph.constant(marks.signs)
    )
    held = graph.add("Greater", counted, graph.constant(marks.least))
    return graph.add("Concat", x, graph.add("Cast", held, to=TensorProto.DOUBLE), axis=1)


WRITERS: Mapping[type[BaseStage], Callable[[Graph, Any, str, int], str]] = {
    Standard: _standard,
    Clip: _clip,
    Bent: _bent,
    Polynomial: _polynomial,
    Fourier: _fourier,
    Leaves: _leaves,
}
"""How a stage of a feature map becomes nodes: of its input's name and width, the name of its output."""


def to_onnx(model: Portable) -> bytes:
    """Return a model as an ONNX file. Raises ConfigError for a map that has no nodes, ClientMissing."""
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise ClientMissing("ONNX files need the package onnx", hint=_INSTALL) from error
    graph = Graph()
    outputs = _outputs(graph, model, _mapped(graph, model.spec.stages, len(model.features)))
    double = TensorProto.DOUBLE
    written = helper.make_graph(
        graph.nodes,
        "sonar",
        [helper.make_tensor_value_info("X", double, ["rows", len(model.features)])],
        outputs,
        graph.constants,
    )
    found = helper.make_model(
        written, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="sonar-network"
    )
    told = {"features": list(model.features), "targets": list(model.targets), "figures": dict(model.figures)}
    helper.set_model_props(found, {name: json.dumps(value) for name, value in told.items()})
    data: bytes = found.SerializeToString()
    return data


def _mapped(graph: Graph, stages: Sequence[BaseStage], width: int) -> str:
    x = "X"
    for stage in stages:
        writer = WRITERS.get(type(stage))
        if writer is None:
            problem = f"has the stage {stage.words()!r}, for which there are no ONNX nodes"
            raise ConfigError("model", problem, hint="save it as safetensors, or use model.predict")
        x, width = writer(graph, stage, x, width), stage.width_after(width, "")
    return x


def _outputs(graph: Graph, model: Portable, phi: str) -> list[Any]:
    from onnx import TensorProto, helper

    offset, factor = head_of(model)
    weights: Matrix = by_output(model.spec, model.weights)
    product = graph.add("MatMul", phi, graph.constant(weights[:-1] * factor))
    said = (graph.constant(weights[-1] * factor + offset), product)
    double = TensorProto.DOUBLE
    if not model.predicts_classes:
        graph.add("Add", *reversed(said), output="predictions")
        return [helper.make_tensor_value_info("predictions", double, ["rows", len(model.targets)])]
    odds = graph.add("Add", *reversed(said))
    if weights.shape[1] == 1:  # log odds of the second of two classes, and of the first 0
        odds = graph.add("Concat", graph.add("Mul", odds, graph.constant(0.0)), odds, axis=1)
    graph.add("Softmax", odds, output="probabilities", axis=1)
    place = graph.add("ArgMax", odds, axis=1, keepdims=0)
    classes = labels_of(model)
    graph.add("Gather", graph.constant(classes), place, output="labels", axis=0)
    kind = helper.np_dtype_to_tensor_dtype(classes.dtype) if classes.dtype != object else TensorProto.STRING
    return [
        helper.make_tensor_value_info("labels", kind, ["rows"]),
        helper.make_tensor_value_info("probabilities", double, ["rows", len(classes)]),
    ]


def labels_of(model: Portable) -> NDArray[Any]:
    """Return a model's classes as arrays for other programs: texts as objects."""
    classes = np.asarray(model.classes)
    return classes.astype(object) if classes.dtype.kind in "US" else classes


def head_of(model: Portable) -> tuple[Matrix, Matrix]:
    """Return what is added to phi w, and what it is times, each float64[outputs]."""
    targets = model.spec.targets
    if not model.predicts_classes:
        return np.array([t.centre for t in targets]), np.array([t.scale for t in targets])
    if model.spec.labels is None and len(targets) > 1:
        hint = "save a model of one column of labels, or use model.predict"
        raise ConfigError("model", f"predicts {len(targets)} columns of labels at once", hint=hint)
    share = np.array([(1.0 + target.centre) / 2.0 for target in targets])
    one = np.ones(len(targets))
    return (np.log(share) if len(targets) > 1 else np.log(share) - np.log1p(-share)), one
