"""ONNX from the layer graph: the same calls and the same weights, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from keras2dml.graph import Call, Graph, Weight

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "X", "probabilities"


def exported(graph: Graph, weights: Mapping[str, np.ndarray]) -> ModelProto:
    """The model in float32, checked: "X" (N, *shape) in Keras' layout to "probabilities" (N,
    *shape).

    Tensors inside are stored as DML stores them, images as N,C,H,W, so that a weight is the DML
    matrix in another shape.
    """
    return _Export(graph, weights).model()


class _Export:
    """The nodes and initializers of one export; `tensors` names the tensor that holds a value."""

    def __init__(self, graph: Graph, weights: Mapping[str, np.ndarray]) -> None:
        self.graph = graph
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.tensors: dict[int, str] = {id(graph.input): INPUT}

    def model(self) -> ModelProto:
        self._input()
        for call in self.graph.calls:
            self._append(call)
        self._output()
        graph = helper.make_graph(
            self.nodes,
            self.graph.name,
            [
                helper.make_tensor_value_info(
                    INPUT, TensorProto.FLOAT, ["N", *self.graph.input.shape]
                )
            ],
            [
                helper.make_tensor_value_info(
                    OUTPUT, TensorProto.FLOAT, ["N", *self.graph.output.shape]
                )
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="keras2dml"
        )
        checker.check_model(model, full_check=True)
        return model

    def _input(self) -> None:
        """X in the order in which DML stores it."""
        value = self.graph.input
        if not value.in_keras_order:
            self.tensors[id(value)] = self._reordered(INPUT, "input", value.order, value.stored)

    def _output(self) -> None:
        """The last value in Keras' order and shape, under its public name."""
        value = self.graph.output
        last = self.tensors[id(value)]
        if not value.in_keras_order:
            last = self._reordered(last, "output", value.order.argsort(), value.shape)
        self._node("Identity", [last], OUTPUT)

    def _reordered(
        self, tensor: str, prefix: str, order: np.ndarray, shape: tuple[int, ...]
    ) -> str:
        flat = self._node(
            "Reshape",
            [tensor, self._constant(f"{prefix}_flat", np.array([0, order.size]))],
            f"{prefix}_rows",
        )
        gathered = self._node(
            "Gather", [flat, self._constant(f"{prefix}_order", order)], f"{prefix}_gathered", axis=1
        )
        return self._node(
            "Reshape",
            [gathered, self._constant(f"{prefix}_shape", np.array([0, *shape]))],
            f"{prefix}_stored",
        )

    def _append(self, call: Call) -> None:
        source = self.tensors[id(call.inputs[0])]
        if call.onnx is None:
            self.tensors[id(call.output)] = source
            return
        weights = [self._weight(weight) for weight in call.weights]
        constants = [
            self._constant(f"{call.output.name}_{n}", np.asarray(constant))
            for n, constant in enumerate(call.onnx.constants)
        ]
        name = call.output.name
        attributes = dict(call.onnx.attributes)
        self.tensors[id(call.output)] = self._node(
            call.onnx.operator, [source, *weights, *constants], name, **attributes
        )

    def _weight(self, weight: Weight) -> str:
        return self._constant(
            weight.name, self.weights[weight.name].reshape(weight.stored).astype(np.float32)
        )

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output
