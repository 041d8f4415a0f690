"""From a Keras model to the layer graph: the only module that looks into Keras."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from keras2dml import dml
from keras2dml.errors import UnsupportedModel
from keras2dml.graph import Call, Graph, Shape, Value, Weight
from keras2dml.rules import Refusal, named
from keras2dml.rules.layers import LOWERINGS


def read(model: keras.Model) -> Graph:
    """The graph of a built Sequential or functional model of one input and one output.

    Raises UnsupportedModel with every complaint at once: unknown layers, arguments that would be
    ignored, shapes.
    """
    return _Reader(model).graph()


class _Reader:
    """One walk from the model's output to its input; a layer that fails is complained of and passed
    over.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.complaints: list[str] = []
        self.calls: list[Call] = []
        self.values: dict[tuple[Any, ...], Value] = {}
        self.names: set[str] = set()
        self.positions = {id(variable): n for n, variable in enumerate(model.weights)}
        self.weights: dict[int, Weight] = {}

    def graph(self) -> Graph:
        """Everything read, or all complaints."""
        if not self.model.built or not self.model.outputs:
            remedy = "Start it with keras.Input(shape), or call build()"
            raise UnsupportedModel(
                self.model.name, [f"It has no input shape yet. {remedy} before you compile it."]
            )
        inputs, outputs = self.model.inputs, self.model.outputs
        for kind, tensors in (("inputs", inputs), ("outputs", outputs)):
            if len(tensors) != 1:
                self.complaints.append(
                    f"It has {len(tensors)} {kind}. One is compiled: split the model."
                )
        start = self._input(inputs[0])
        end = self._value(outputs[0])
        if self.complaints:
            raise UnsupportedModel(self.model.name, dict.fromkeys(self.complaints))
        return Graph(self.model.name, start, tuple(self.calls), end)

    def _input(self, tensor: keras.KerasTensor) -> Value:
        shape = self._shape(tensor, "The input")
        value = self._stored(self._unused("X"), shape)
        self.values[tensor._keras_history] = value
        return value

    def _stored(self, name: str, shape: Shape) -> Value:
        """A value as DML wants it: images with their channels first, all else as Keras has it."""
        moved = len(shape) == 3 and _data_format(self.model) == "channels_last"
        return Value.transposed(name, shape, (2, 0, 1) if moved else tuple(range(len(shape))))

    def _value(self, tensor: keras.KerasTensor) -> Value:
        """The value of a Keras tensor; reads what it comes from first."""
        pending = [tensor]
        while pending:
            here = pending[-1]
            if here._keras_history in self.values:
                pending.pop()
                continue
            layer, node, _ = here._keras_history
            sources = layer._inbound_nodes[node].input_tensors
            missing = [source for source in sources if source._keras_history not in self.values]
            if missing:
                pending.extend(missing)
                continue
            read = [self.values[source._keras_history] for source in sources]
            self.values[here._keras_history] = self._lowered(layer, read, here)
            pending.pop()
        return self.values[tensor._keras_history]

    def _lowered(self, layer: keras.Layer, inputs: list[Value], tensor: keras.KerasTensor) -> Value:
        """The layer's output; where it is refused, a stand-in so that the rest is checked too."""
        lowering = LOWERINGS.get(type(layer))
        stand_in = self._stored("", self._shape(tensor, named(layer)))
        if lowering is None or len(inputs) != 1:
            known = ", ".join(sorted(known.__name__ for known in LOWERINGS))
            self.complaints.append(
                f"{named(layer)} is not compiled. Compiled are {known}: use these."
            )
            return stand_in
        complaints = list(lowering.complaints(layer))
        self.complaints.extend(complaints)
        try:
            calls = lowering.rule(layer, inputs[0])
        except Refusal as refusal:
            self.complaints.extend(refusal.complaints)
            return stand_in
        return self._appended(layer, inputs[0], calls)

    def _appended(self, layer: keras.Layer, x: Value, calls: tuple[Call, ...]) -> Value:
        """The rule's calls with the names that their values and weights have in the script."""
        renamed = {id(x): x}
        last = x
        for call in calls:
            inputs = tuple(renamed[id(value)] for value in call.inputs)
            last = replace(call.output, name=self._unused(f"{layer.name}_{call.output.name}"))
            renamed[id(call.output)] = last
            weights = tuple(self._named(layer, weight) for weight in call.weights)
            self.calls.append(replace(call, inputs=inputs, output=last, weights=weights))
        return last

    def _named(self, layer: keras.Layer, weight: Weight) -> Weight:
        """The weight with its name, once for a layer that is called twice."""
        variable = getattr(layer, weight.role)
        if id(variable) not in self.weights:
            self.weights[id(variable)] = replace(
                weight,
                layer=layer.name,
                name=self._unused(f"{layer.name}_{weight.argument}"),
                position=self.positions[id(variable)],
                trainable=variable.trainable,
            )
        return self.weights[id(variable)]

    def _unused(self, name: str) -> str:
        """`name` as a DML identifier that no other value or weight has."""
        wanted: str = dml.identifier(name)
        unused, number = wanted, 1
        while unused in self.names:
            number += 1
            unused = f"{wanted}_{number}"
        self.names.add(unused)
        return unused

    def _shape(self, tensor: keras.KerasTensor, who: str) -> Shape:
        """The shape of one example; a size that is open is complained of and taken for 1."""
        shape = tuple(tensor.shape[1:])
        if None in shape:
            self.complaints.append(
                f"{who} has the open shape {shape}. Every size but the batch must be given."
            )
        return tuple(size or 1 for size in shape)


def _data_format(model: keras.Model) -> str:
    """The layout of the model's images: what its first layer with a data format says, else Keras'
    setting.
    """
    formats = (getattr(layer, "data_format", None) for layer in model.layers)
    return str(next(filter(None, formats), keras.config.image_data_format()))
