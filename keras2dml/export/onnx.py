"""Exports the layer graph to ONNX, with the same calls and weights, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from keras2dml.errors import UnsupportedModel
from keras2dml.graph import IDENTITY, Call, Graph, Node, Shape, Value, source_of

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "X", "probabilities"


def exported(graph: Graph, weights: Mapping[str, np.ndarray]) -> ModelProto:
    """The model in float32, checked: from "X" (N, *shape) in Keras' layout to "probabilities" (N,
    *shape); further outputs are "probabilities_2" and so on.

    Internal tensors have DML's layout, images N,C,H,W, so that a weight is the DML matrix in
    another shape.
    """
    return _Export(graph, weights).model()


class _Export:
    """The nodes and initializers of one export; `tensors` names the tensor that holds a result."""

    def __init__(self, graph: Graph, weights: Mapping[str, np.ndarray]) -> None:
        self.graph = graph
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.tensors: dict[tuple[Call, str, Shape], str] = {}

    def model(self) -> ModelProto:
        inputs = [self._add_input(value) for value in self.graph.inputs]
        for call in self.graph.calls:
            self._add_call(call)
        outputs = [self._add_output(value, n) for n, value in enumerate(self.graph.outputs)]
        graph = helper.make_graph(
            self.nodes,
            self.graph.name,
            inputs,
            outputs,
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="keras2dml"
        )
        checker.check_model(model, full_check=True)
        return model

    def _add_input(self, value: Value) -> object:
        """An input in DML's storage order."""
        name = self.graph.input_name(value)
        tensor = name
        if not value.in_keras_order:
            tensor = self._reorder(name, f"{name}_input", value.order, value.stored)
        elif value.stored != value.shape:
            tensor = self._reshape(name, f"{name}_stored", value.stored)
        self.tensors[source_of(value), "out", value.stored] = tensor
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *value.shape])

    def _add_output(self, value: Value, number: int) -> object:
        """An output in Keras' order and shape, under its public name."""
        name = f"{OUTPUT}_{number + 1}" if number else OUTPUT
        last = self._tensor(value)
        if not value.in_keras_order:
            last = self._reorder(last, f"{name}_output", value.order.argsort(), value.shape)
        elif value.stored != value.shape:
            last = self._reshape(last, f"{name}_shaped", value.shape)
        self._add_node("Identity", [last], [name])
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *value.shape])

    def _reorder(self, tensor: str, prefix: str, order: np.ndarray, shape: Shape) -> str:
        flat = self._reshape(tensor, f"{prefix}_rows", (order.size,))
        indexes = self._add_constant(f"{prefix}_order", np.asarray(order))
        gathered = self._add_node("Gather", [flat, indexes], [f"{prefix}_gathered"], axis=1)
        return self._reshape(gathered, f"{prefix}_stored", shape)

    def _reshape(self, tensor: str, name: str, shape: Shape) -> str:
        sizes = self._add_constant(f"{name}_shape", np.array([0, *shape]))
        return self._add_node("Reshape", [tensor, sizes], [name])

    def _tensor(self, value: Value) -> str:
        """The tensor of a value in its stored shape."""
        source = source_of(value)
        if source.function == IDENTITY:
            return self._tensor(source.inputs[0].seen_as(value.shape, value.stored, value.order))
        key = source, value.result, value.stored
        if key not in self.tensors:
            first = self.tensors[source, value.result, source.results[value.result]]
            name = f"{first}_as_{'x'.join(map(str, value.stored))}"
            self.tensors[key] = self._reshape(first, name, value.stored)
        return self.tensors[key]

    def _add_call(self, call: Call) -> None:
        if call.function == IDENTITY:
            return
        if not call.onnx:
            message = (
                f"Layer {call.layer!r} computes {call.function!r}, which cannot be exported to"
                " ONNX: score the model with SystemDS."
            )
            raise UnsupportedModel(self.graph.name, [message], "written as ONNX")
        name = self.graph.names[call]
        tensors = dict(zip(call.arguments, map(self._tensor, call.inputs), strict=False))
        own = {weight.argument: self.graph.names[weight] for weight in call.weights}
        for weight in call.weights:
            matrix = self.weights[self.graph.names[weight]]
            array = matrix.reshape(weight.stored).astype(np.float32)
            self._add_constant(self.graph.names[weight], array)
        arguments = {argument for node in call.onnx for argument in node.inputs}
        for constant in call.constants:
            if constant.argument in arguments:
                own[constant.argument] = self._add_constant(
                    self.graph.names[constant], constant.matrix.ravel().astype(np.float32)
                )
        for result in call.results:
            tensor = name if result == "out" else f"{name}_{result}"
            self.tensors[call, result, call.results[result]] = tensor
        for number, node in enumerate(call.onnx):
            self._add_operator(node, name, {**tensors, **own}, number)
            tensors |= {output: f"{name}_{output}" for output in node.outputs}

    def _add_operator(self, node: Node, name: str, tensors: Mapping[str, str], number: int) -> None:
        constants = [
            self._add_constant(f"{name}_constant_{number}_{n}", np.asarray(constant))
            for n, constant in enumerate(node.constants)
        ]
        inputs = [tensors[argument] if argument else "" for argument in node.inputs or tensors]
        outputs = [name if output == "out" else f"{name}_{output}" for output in node.outputs]
        self._add_node(node.operator, [*inputs, *constants], outputs, **node.attributes)

    def _add_constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        return name

    def _add_node(
        self, operator: str, inputs: list[str], outputs: list[str], **attributes: object
    ) -> str:
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name=outputs[0], **attributes)
        )
        return outputs[0]
