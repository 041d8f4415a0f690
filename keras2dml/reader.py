"""Reads a Keras model into the layer graph: its inputs, its lowered layers, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras2dml import backend, input_types
from keras2dml.copying.optimizer import NO_CONFIG
from keras2dml.copying.twins import complaints as changed_since
from keras2dml.dml import syntax
from keras2dml.errors import UnsupportedModel
from keras2dml.graph import (
    IDENTITY,
    INPUT,
    SIGMOID,
    Call,
    Graph,
    Named,
    Parameter,
    Shape,
    Value,
    Weight,
    calls_of,
    source_of,
)
from keras2dml.input_shapes import Declared, example_shapes, misfits
from keras2dml.keras_internals import layers_of, node_of, origin_of, variables_of
from keras2dml.rules import call, named, unknown
from keras2dml.rules.changed_layers import changes
from keras2dml.rules.layers import Refusal, lowered
from keras2dml.rules.layouts import in_keras_order
from keras2dml.rules.models import HANDING_ON, gives_of, nested, takes_of
from keras2dml.rules.operations.singles import computes_in_single
from keras2dml.rules.operations.types import FLOATS, of_single_inputs
from keras2dml.rules.user_classes import is_users


def read(model: keras.Model, shapes: Sequence[Shape] | None = None) -> Graph:
    """The graph of a built Sequential or functional model; `shapes` are those of its inputs, in the
    model's layout, if it leaves sizes open.

    Raises UnsupportedModel with all complaints at once: unknown layers, arguments that would be
    ignored, shapes.
    """
    if is_users(model) and not getattr(model, "outputs", None):
        raise UnsupportedModel(model.name, [unknown(model)])
    if not model.built or not getattr(model, "outputs", None):
        remedy = "Start it with keras.Input(shape), or call build()"
        raise UnsupportedModel(
            model.name, [f"It has no input shape yet. {remedy} before you compile it."]
        )
    inputs = [Declared(model, tensor) for tensor in model.inputs]
    several = len(inputs) > 1
    complaints = [
        f"The input{f' {declared.name!r}' if several else ''} has the open shape {declared.shape}."
        " Every size but the batch must be given, in keras.Input or by the estimator's input_shape."
        for declared in inputs
        if shapes is None and None in declared.shape
    ]
    complaints += [*nested(model), *_of_types(model, inputs), *changes(model, deep=False)]
    if shapes is None:
        shapes = example_shapes(model)
    elif reasons := complaints or [*misfits(model, shapes)]:
        raise UnsupportedModel(model.name, reasons)
    if shapes is None:
        raise UnsupportedModel(model.name, complaints)
    values = tuple(
        _input(model, declared, shape) for declared, shape in zip(inputs, shapes, strict=True)
    )
    try:
        with np.errstate(over="ignore"):  # ONNX has float32
            outputs = lowered(model, *values)
    except Refusal as refusal:
        raise UnsupportedModel(model.name, [*complaints, *refusal.complaints]) from None
    except NO_CONFIG as error:  # of a layer whose parts contradict each other
        if reasons := [*complaints, *changed_since(model)]:
            raise UnsupportedModel(model.name, reasons) from error
        raise
    complaints += changed_since(model)
    complaints += [
        f"Output {name!r} is one number for each example, and has no axis: keep one, as by"
        " keepdims=True, or put Reshape((1,)) behind it."
        for name, value in zip(gives_of(model).names, outputs, strict=True)
        if not value.shape
    ]
    if complaints:
        raise UnsupportedModel(model.name, complaints)
    ordered = tuple(_in_keras_order(value).with_masks(value.mask, None) for value in outputs)
    return _Naming(model, values, ordered).graph()


def last_layer(model: keras.Model, output: int = 0) -> str:
    """The name of the layer that computes an output, not of one that only returns it."""
    tensor = model.outputs[output]
    while True:
        layer, _, place = origin_of(tensor)
        if isinstance(layer, keras.Model):
            tensor = layer.outputs[place]
            continue
        linear = getattr(layer, "activation", None) is keras.activations.linear
        hands_on = isinstance(layer, HANDING_ON) or (
            isinstance(layer, keras.layers.Activation) and linear
        )
        if not hands_on:
            return str(layer.name)
        tensor = node_of(tensor).input_tensors[0]


def _in_keras_order(value: Value) -> Value:
    """An output with its elements in Keras' order, as losses expect; a sigmoid stays the last call,
    since losses look through it.
    """
    last = source_of(value)
    if value.in_keras_order or last.function != SIGMOID:
        return in_keras_order(last.layer, value)
    before = last.inputs[0]
    seen = before.seen_as(value.shape, value.stored, value.order)
    return call(last.layer, SIGMOID, in_keras_order(last.layer, seen), onnx=last.onnx)


def _input(model: keras.Model, declared: Declared, shape: Shape) -> Value:
    """An input value in DML's layout: images with channels first, all else in Keras' layout."""
    value = Value.of(shape, (2, 0, 1) if declared.moved else None)
    name = f"X_{declared.name}" if len(model.inputs) > 1 else "X"
    sizes = input_types.sizes_of(declared.dtype, backend.floatx())
    return value.made_by(Call(INPUT, (), name, {"out": value.stored}, sizes=sizes))


def _dtypes(model: keras.Model) -> dict[str, keras.Layer]:
    """The types in which layers compute, each with one such layer."""
    kinds = (keras.Model, keras.layers.InputLayer)
    layers = [layer for layer in layers_of(model) if not isinstance(layer, kinds)]
    return {layer.compute_dtype: layer for layer in layers}


def _of_types(model: keras.Model, inputs: list[Declared]) -> Iterator[str]:
    """Complaints about the types of inputs and layers."""
    for declared in inputs:
        if "float" in declared.dtype and declared.dtype not in FLOATS:
            yield (
                f"The input {declared.name!r} has dtype {declared.dtype!r}, to which Keras rounds"
                " X. SystemDS computes in float64: give it 'float32' or 'float64'."
            )
    dtypes = _dtypes(model)
    if {*FLOATS} <= {*dtypes}:
        yield (
            f"{named(dtypes['float32'])} computes in float32, and others in float64. SystemDS only"
            " has float64: give all layers the same dtype."
        )
    if "float64" in dtypes:
        yield from of_single_inputs(model)


# Variables of scripts that a layer and its weight could be called as well.
_VARIABLES = (
    "batch_before",
    "batch_size",
    "iteration_before",
    "learning_rate",
    "part_size",
)


class _Naming:
    """The names of all variables in scripts."""

    def __init__(
        self, model: keras.Model, inputs: tuple[Value, ...], outputs: tuple[Value, ...]
    ) -> None:
        self.model, self.inputs, self.outputs = model, inputs, outputs
        self.used_names = {*_VARIABLES}
        self.names: dict[Named, str] = {}
        self.parameters: dict[int, Parameter] = {}
        self.places = {id(variable): n for n, variable in enumerate(model.weights)}
        self.trained = {id(variable) for variable in model.trainable_weights}
        self.roles = dict(_roles(model))

    def graph(self) -> Graph:
        """The graph; raises UnsupportedModel if a weight would need two layouts."""
        for value in self.inputs:
            source = source_of(value)
            self.names[source] = self._claim_name(source.layer)
        # Losses use the masks of outputs.
        masks = tuple(value.mask for value in self.outputs if value.mask)
        calls = calls_of((*self.outputs, *masks))
        for step in calls:
            self._name(step)
        parameters = tuple(self.parameters.values())
        return Graph(
            self.model.name,
            self.inputs,
            self.outputs,
            calls,
            parameters,
            self.names,
            single=computes_in_single(self.model, calls),
            takes=takes_of(self.model),
            gives=gives_of(self.model),
        )

    def _name(self, call: Call) -> None:
        self.names[call] = self._claim_name(_title(call))
        for constant in call.constants:
            self.names[constant] = self._claim_name(f"{self.names[call]}_{constant.argument}")
        for weight in call.weights:
            self.names[weight] = self._add_parameter(call, weight).name

    def _add_parameter(self, call: Call, weight: Weight) -> Parameter:
        key = id(weight.variable)
        if key not in self.parameters and key not in self.places:
            message = (
                f"Layer {call.layer!r} computes with something that is no weight of the model, in"
                f" the place of {weight.argument!r}: it was changed or quantized once it was built."
                " Create it again with the arguments that you want."
            )
            raise UnsupportedModel(self.model.name, [message])
        if key not in self.parameters:
            layer, role = self.roles.get(key, (call.layer, weight.argument))
            self.parameters[key] = Parameter(
                self._claim_name(f"{call.layer}_{weight.argument}"),
                weight,
                layer,
                role,
                self.places[key],
                key in self.trained,
            )
        parameter = self.parameters[key]
        if not parameter.weight.same_layout(weight):
            message = (
                f"Weight {weight.variable.path!r} is used by two layers that order their inputs"
                " differently: put the same layers before both."
            )
            raise UnsupportedModel(self.model.name, [message])
        return parameter

    def _claim_name(self, name: str) -> str:
        """`name` as a unique DML identifier."""
        identifier: str = syntax.identifier(name)
        if identifier.startswith("d_"):  # what gradients begin with
            identifier = f"layer_{identifier}"
        unused, number = identifier, 1
        # `X_a_batch` are the rows of `X_a` in a batch.
        while self.used_names & {unused, unused.removesuffix("_batch"), f"{unused}_batch"}:
            number += 1
            unused = f"{identifier}_{number}"
        self.used_names.add(unused)
        return unused


def _title(call: Call) -> str:
    """What a script calls a call's result. Where the layer's name begins as the function's, as one
    that Keras gives it often does, it is not said twice.
    """
    is_said = call.function == IDENTITY or call.layer.startswith(call.function)
    return f"{call.layer}_{'out' if is_said else call.function}"


def _roles(model: keras.Model) -> Any:
    """Each variable's layer, and its name there: the end of Keras' path."""
    for layer in layers_of(model):
        for variable in variables_of(layer):
            yield id(variable), (layer.name, variable.name)
