"""Models as layers: the layers of a Sequential or functional model, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
from keras.src.ops.core import Cast, ConvertToTensor

from keras2dml.graph import IDENTITY, Call, Value, source_of
from keras2dml.rules import Refusal, call, lowered, lowers, named
from keras2dml.rules.layouts import arranged, squashed_by
from keras2dml.rules.operations import types
from keras2dml.structure import Structure

HANDING_ON = (keras.layers.Identity, Cast, ConvertToTensor)
"""What gives the tensor that it takes."""
Functional = type(keras.Model(x := keras.Input((1,), batch_size=1), x))


@lowers(keras.Sequential, Functional, honours="layers input_layers output_layers build_input_shape")
def model(layer: keras.Model, *inputs: Value) -> tuple[Value, ...]:
    """Every layer on the way from the inputs to the outputs; all that are refused at once."""
    return outputs_of(layer, inputs)


def outputs_of(model: keras.Function, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """What a model, or a function of symbolic tensors, makes of its inputs."""
    return _Walk(model, inputs).outputs()


class _Walk:
    """One walk from a model's outputs to its inputs."""

    def __init__(self, model: keras.Function, inputs: tuple[Value, ...]) -> None:
        self.model = model
        self.complaints: list[str] = []
        self.values: dict[Any, Value] = {
            tensor._keras_history: value for tensor, value in zip(model.inputs, inputs, strict=True)
        }
        self.orders: dict[Any, tuple[Value, ...]] = {}

    def outputs(self) -> tuple[Value, ...]:
        """What the model makes of its inputs, or all complaints."""
        outputs = tuple(self._value(tensor) for tensor in self.model.outputs)
        if self.complaints:
            raise Refusal(*dict.fromkeys(self.complaints))
        return outputs

    def _value(self, tensor: Any) -> Value:
        """The value of a Keras tensor; reads what it comes from first."""
        pending = [tensor]
        while pending:
            layer, node, _ = pending[-1]._keras_history
            if pending[-1]._keras_history in self.values:
                pending.pop()
                continue
            node = layer._inbound_nodes[node]
            sources = node.input_tensors
            missing = [source for source in sources if source._keras_history not in self.values]
            if missing:
                pending.extend(missing)
            else:
                self._lower(layer, node)
        return self.values[tensor._keras_history]

    def _lower(self, layer: Any, node: Any) -> None:
        """Enter what a layer makes; stand-ins where it is refused, so that the rest is checked."""
        if not isinstance(layer, keras.Layer):
            self._complain(*types.complaints(layer, node))
            if isinstance(self.model, keras.Model):
                self._complain(*types.uncopied(layer))
        try:
            for tensor in node.input_tensors:
                _check_shape(layer, tensor, self.values[tensor._keras_history])
            made = self._lowered(layer, node)
            self._complain(*_open(layer, node))
        except Refusal as refusal:
            self._complain(*refusal.complaints)
            made = tuple(stand_in(output) for output in node.output_tensors)
        for output, value in zip(node.output_tensors, made, strict=True):
            self.values[output._keras_history] = self._anew(layer, node, value)

    def _anew(self, layer: Any, node: Any, value: Value) -> Value:
        """A value that an operation puts into another shape as one of its own: Keras knows no
        longer which softmax or sigmoid made it.
        """
        of_model = isinstance(layer, keras.Layer) and isinstance(self.model, keras.Model)
        taken = {source_of(self.values[tensor._keras_history]) for tensor in node.input_tensors}
        hands_on = isinstance(layer, HANDING_ON)
        if of_model or hands_on or source_of(value) not in taken or not squashed_by(value):
            return value
        return call(layer, IDENTITY, value)

    def _lowered(self, layer: Any, node: Any) -> tuple[Value, ...]:
        arguments, keywords = self._read(node.arguments.args), self._read(node.arguments.kwargs)
        if len(arguments) == 1 and isinstance(arguments[0], dict):
            first = arguments[0]
            of_model = isinstance(layer, keras.Model)
            arguments = takes_of(layer).listed(first, "X") if of_model else [*first.values()]
        elif len(arguments) == 1 and isinstance(arguments[0], (list, tuple)):
            arguments = arguments[0]
        values = [value for value in arguments if isinstance(value, Value)]
        # A layer that is called again has one set of weights, and they one order.
        before = self.orders.setdefault(layer, tuple(values))
        again = iter(
            arranged(layer, value, like) if value.shape == like.shape else value
            for value, like in zip(values, before, strict=False)
        )
        arguments = [next(again, one) if isinstance(one, Value) else one for one in arguments]
        return lowered(layer, *arguments, **keywords)

    def _read(self, given: Any) -> Any:
        """The arguments of a call, with values in the place of tensors."""
        if isinstance(given, keras.KerasTensor):
            return self.values[given._keras_history]
        if isinstance(given, dict):
            return {name: self._read(value) for name, value in given.items()}
        if isinstance(given, tuple):
            return tuple(self._read(value) for value in given)
        return [self._read(value) for value in given] if isinstance(given, list) else given

    def _complain(self, *complaints: str) -> None:
        self.complaints.extend(complaints)


def _check_shape(layer: Any, tensor: Any, value: Value) -> None:
    """Refusal for what has another shape than Keras told the layer that takes it."""
    told = tuple(tensor.shape[1:])
    if None not in told and told != value.shape and value.rows == 1:
        message = (
            f"{named(layer)} takes examples of {value.shape}, and was built for {told}: a function"
            " before it changes the shape. Put that function into operations of the model."
        )
        raise Refusal(message)


def _open(layer: Any, node: Any) -> Iterator[str]:
    """Complaints about sizes of a layer's results that are not known."""
    for output in node.output_tensors:
        if None in output.shape[1:]:
            yield (
                f"{named(layer)} has the open shape {tuple(output.shape[1:])}. Every size but the"
                " batch must be given."
            )


def takes_of(model: keras.Model) -> Structure:
    """The names by which a model takes its inputs."""
    names = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    return _structure(model, "inputs", names)


def gives_of(model: keras.Model) -> Structure:
    """The names by which a model gives its outputs: those of a dict, or of their layers."""
    tensors = getattr(model, "outputs", None) or ()
    names = getattr(model, "output_names", None)
    return _structure(
        model, "outputs", names or [tensor._keras_history[0].name for tensor in tensors]
    )


def _structure(
    model: keras.Model, kind: Literal["inputs", "outputs"], names: Sequence[str]
) -> Structure:
    paths = _paths(model, kind)
    if any(isinstance(part, str) for path in paths for part in path):
        return Structure(kind, tuple("/".join(map(str, path)) for path in paths), keyed=True)
    return Structure(kind, tuple(names))


def nested(model: keras.Model) -> Iterator[str]:
    """Complaints about inputs or outputs whose names lie in one another."""
    kinds: tuple[Literal["inputs", "outputs"], ...] = ("inputs", "outputs")
    for kind in kinds:
        paths = _paths(model, kind)
        has_names = any(isinstance(part, str) for path in paths for part in path)
        if has_names and any(len(path) > 1 or not isinstance(path[0], str) for path in paths):
            yield f"The {kind} are lists or dicts in one another. Give one list, or one dict."


def _paths(model: keras.Model, kind: Literal["inputs", "outputs"]) -> list[tuple[Any, ...]]:
    """Where each input or output lies in the lists and dicts of which the model was built."""
    functional: Any = model._functional if isinstance(model, keras.Sequential) else model
    structure = getattr(functional, f"_{kind}_struct", None)
    if structure is None:
        return []
    return [path for path, _ in keras.tree.flatten_with_path(structure)]


def stand_in(tensor: Any) -> Value:
    """A value of a tensor's shape; a size that is open is taken for 1."""
    value = Value.of(tuple(size or 1 for size in tensor.shape[1:]))
    return value.made_by(Call("stand_in", (), tensor.name, {"out": value.stored}))
