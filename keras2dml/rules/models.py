"""Models as layers: the layers of a Sequential or functional model, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
from keras.src.models import Functional
from keras.src.ops.core import Cast, ConvertToTensor

from keras2dml.graph import IDENTITY, Call, Value, source_of
from keras2dml.keras_internals import node_of, origin_of, recorded_mask_of, structure_of
from keras2dml.rules import LOWERINGS, Refusal, call, lowered, lowers, named
from keras2dml.rules.built_calls import check_count, check_integers, check_shape, in_types
from keras2dml.rules.layouts import arranged, squashed_by
from keras2dml.rules.masks import UNFITTING, TakenOff, hands_on
from keras2dml.rules.operations import types
from keras2dml.rules.user_classes import additions, is_users, kind_of
from keras2dml.structure import Structure

HANDING_ON = (keras.layers.Identity, Cast, ConvertToTensor)
"""Operations that return their input tensor itself."""

DOUBTFUL = (
    "{} has or gets a tensor whose mask Keras' MultiHeadAttention may or may not remove, depending"
    " on layers in between. Give both the same tensor, or leave the mask out."
)
SCORES = (
    "{} has or gets attention scores with a mask that Keras applies along the wrong axes. Put a"
    " Reshape after the scores: it drops the mask."
)


@lowers(
    keras.Sequential,
    Functional,
    honours="layers input_layers output_layers build_input_shape",
    masks=True,
)
def model(layer: keras.Model, *inputs: Value) -> tuple[Value, ...]:
    """All layers from the inputs to the outputs; raises Refusal with all complaints at once."""
    if is_users(layer) and (beside := additions(layer)):
        message = (
            f"{named(layer)} has {', '.join(beside)} besides the layers between its inputs and"
            " outputs, which its copies lose: leave them out."
        )
        raise Refusal(message)
    unrecorded = tuple(value.with_masks(value.mask, None) for value in inputs)
    return tuple(value.with_masks(value.mask, None) for value in outputs_of(layer, unrecorded))


def outputs_of(model: keras.Function, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """The outputs of a model, or of a function of symbolic tensors, for these inputs."""
    return _Walk(model, inputs).outputs()


class _Walk:
    """Lowers a model, from its outputs back to its inputs."""

    def __init__(self, model: keras.Function, inputs: tuple[Value, ...]) -> None:
        self.model = model
        self.complaints: list[str] = []
        self.values: dict[Any, Value] = {
            origin_of(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)
        }
        self.orders: dict[Any, tuple[Value, ...]] = {}
        self.taken_off = TakenOff(model)
        self.exact = types.is_exact(model)

    def outputs(self) -> tuple[Value, ...]:
        """The outputs of the model; raises Refusal with all complaints."""
        outputs = tuple(self._output(tensor) for tensor in self.model.outputs)
        if self.complaints:
            raise Refusal(*dict.fromkeys(self.complaints))
        return outputs

    def _output(self, tensor: Any) -> Value:
        """The value of an output, with the mask that it has in the end."""
        value, place = self._value(tensor), origin_of(tensor)
        if value.mask and place in self.taken_off.unclear - self.taken_off.gone:
            self._complain(DOUBTFUL.format(named(place[0])))
        if value.mask is UNFITTING:
            self._complain(SCORES.format(named(place[0])))
        lost = place in self.taken_off.gone
        return value.with_masks(None if lost else value.mask, value.recorded)

    def _value(self, tensor: Any) -> Value:
        """The value of a Keras tensor; lowers what it depends on first."""
        pending = [tensor]
        while pending:
            if origin_of(pending[-1]) in self.values:
                pending.pop()
                continue
            node = node_of(pending[-1])
            sources = _sources(node)
            missing = [source for source in sources if origin_of(source) not in self.values]
            if missing:
                pending.extend(missing)
            else:
                self._lower(node.operation, node)
        return self.values[origin_of(tensor)]

    def _lower(self, layer: Any, node: Any) -> None:
        """Enter a layer's outputs, or stand-ins if it is refused, so that the rest is checked."""
        if not isinstance(layer, keras.Layer):
            self._complain(*types.complaints(layer, node, exact=self.exact))
            if isinstance(self.model, keras.Model):
                self._complain(*types.uncopied(layer))
        try:
            for tensor in _sources(node):
                check_shape(layer, tensor, self.values[origin_of(tensor)])
            results = self._lowered(layer, node)
            check_count(layer, node, results)
        except Refusal as refusal:
            self._complain(*refusal.complaints)
            results = tuple(stand_in(output) for output in node.output_tensors)
        mask = None if isinstance(layer, keras.Layer) else self._handed_on(node)
        for output, value in zip(node.output_tensors, results, strict=True):
            result = self._anew(layer, node, value)
            self.values[origin_of(output)] = result.with_masks(mask, None) if mask else result

    def _handed_on(self, node: Any) -> Value | None:
        """The mask of an operation's input, if it returns the input tensor itself."""
        masks = [self._read(tensor, node, recorded=False).mask for tensor in _sources(node)]
        return masks[0] if any(masks) and hands_on(node) else None

    def _anew(self, layer: Any, node: Any, value: Value) -> Value:
        """A value that an operation has reshaped, as a new value: Keras no longer knows which
        softmax or sigmoid computed it.
        """
        of_model = isinstance(layer, keras.Layer) and isinstance(self.model, keras.Model)
        sources = {source_of(self.values[origin_of(tensor)]) for tensor in _sources(node)}
        hands_on = isinstance(layer, HANDING_ON)
        if of_model or hands_on or source_of(value) not in sources or not squashed_by(value):
            return value
        return call(layer.name, IDENTITY, value)

    def _lowered(self, layer: Any, node: Any) -> tuple[Value, ...]:
        passed = dict(node.arguments.kwargs)
        recorded = _is_recorded(node)
        if recorded:
            del passed["mask"]
        positional = node.arguments.args or tuple(_first(layer, passed))
        check_integers(layer, keras.tree.flatten(positional[:1]))
        arguments = self._read(positional, node, recorded=recorded)
        keywords = self._read(passed, node, recorded=recorded)
        arguments = _in_order(layer, arguments)
        if isinstance(layer, keras.Model):
            tensors = _in_order(layer, positional)
            kinds = [str(getattr(tensor, "dtype", None)) for tensor in tensors]
            arguments = in_types(layer, arguments, kinds)
        values = [value for value in arguments if isinstance(value, Value)]
        # A layer that is called again has the same weights, in the same order.
        before = self.orders.setdefault(layer, tuple(values))
        again = iter(
            arranged(layer.name, value, like) if value.shape == like.shape else value
            for value, like in zip(values, before, strict=False)
        )
        arguments = [
            next(again, argument) if isinstance(argument, Value) else argument
            for argument in arguments
        ]
        if any(value.mask is UNFITTING for value in values) and _uses_masks(layer):
            raise Refusal(SCORES.format(named(layer)))
        return lowered(layer, *arguments, **keywords)

    def _read(self, argument: Any, node: Any, *, recorded: bool) -> Any:
        """The arguments of a call with values instead of tensors, with the masks that they have at
        that time, or those that were recorded when the model was built.
        """
        if isinstance(argument, keras.KerasTensor):
            value = self.values[origin_of(argument)]
            if recorded:
                return value.with_masks(value.recorded, value.recorded)
            place = id(node), origin_of(argument)
            if place in self.taken_off.doubtful and value.mask and _looks_for_masks(node):
                self._complain(DOUBTFUL.format(named(node.operation)))
            lost = place in self.taken_off.lost
            return value.with_masks(None if lost else value.mask, value.recorded)
        if isinstance(argument, dict):
            return {
                name: self._read(value, node, recorded=recorded) for name, value in argument.items()
            }
        if isinstance(argument, (list, tuple)):
            return type(argument)(self._read(value, node, recorded=recorded) for value in argument)
        return argument

    def _complain(self, *complaints: str) -> None:
        self.complaints.extend(complaints)


def _is_recorded(node: Any) -> bool:
    """Whether Keras itself recorded the mask of a call: it is that of the first argument."""
    if node.arguments.kwargs.get("mask") is None:
        return False
    masks = [recorded_mask_of(tensor) for tensor in keras.tree.flatten(node.arguments.args)]
    keyword_masks = keras.tree.flatten(node.arguments.kwargs["mask"])
    return len(masks) == len(keyword_masks) and all(
        mask is keyword for mask, keyword in zip(masks, keyword_masks, strict=True)
    )


def _sources(node: Any) -> list[Any]:
    """The tensors that a call takes, without the mask that Keras itself recorded."""
    keyword_masks = keras.tree.flatten(node.arguments.kwargs["mask"]) if _is_recorded(node) else []
    masks = {id(tensor) for tensor in keyword_masks}
    return [tensor for tensor in node.input_tensors if id(tensor) not in masks]


def _uses_masks(layer: Any) -> bool:
    """Whether a layer, other than a model, computes something else if there are masks."""
    lowering = LOWERINGS.get(kind_of(layer))
    return lowering is not None and lowering.masks and not isinstance(layer, keras.Model)


def _looks_for_masks(node: Any) -> bool:
    """Whether a layer uses masks that are attached to its inputs."""
    layer = node.operation
    names = getattr(layer, "call_signature_parameters", ())
    return bool(
        getattr(layer, "supports_masking", False)
        or isinstance(layer, keras.Model)
        or any(name.endswith("mask") for name in names)
    )


def _first(layer: Any, keywords: dict[str, Any]) -> Iterator[Any]:
    """The first argument of a layer's call, taken out of its keywords."""
    for name in [*getattr(layer, "call_signature_parameters", ())][:1]:
        if name in keywords:
            yield keywords.pop(name)


def _in_order(layer: Any, arguments: Any) -> Any:
    """What a call takes, one after another, where it takes one list or dict."""
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        of_model = isinstance(layer, keras.Model)
        first = arguments[0]
        return takes_of(layer).listed(first, "X") if of_model else [*first.values()]
    if len(arguments) == 1 and isinstance(arguments[0], (list, tuple)):
        return arguments[0]
    return arguments


def takes_of(model: keras.Model) -> Structure:
    """The names of a model's inputs, and how they are passed."""
    names = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    return _structure(model, "inputs", names)


def gives_of(model: keras.Model) -> Structure:
    """The names of a model's outputs, of a dict or of their layers, and how they are returned."""
    tensors = getattr(model, "outputs", None) or ()
    names = getattr(model, "output_names", None)
    return _structure(model, "outputs", names or [origin_of(tensor)[0].name for tensor in tensors])


def _structure(
    model: keras.Model, kind: Literal["inputs", "outputs"], names: Sequence[str]
) -> Structure:
    paths = _paths(model, kind)
    if any(isinstance(part, str) for path in paths for part in path):
        return Structure(kind, tuple("/".join(map(str, path)) for path in paths), keyed=True)
    return Structure(kind, tuple(names))


def nested(model: keras.Model) -> Iterator[str]:
    """Complaints about nested inputs or outputs."""
    kinds: tuple[Literal["inputs", "outputs"], ...] = ("inputs", "outputs")
    for kind in kinds:
        paths = _paths(model, kind)
        has_names = any(isinstance(part, str) for path in paths for part in path)
        if has_names and any(len(path) > 1 or not isinstance(path[0], str) for path in paths):
            yield f"The {kind} are nested lists or dicts. Give one list, or one dict."


def _paths(model: keras.Model, kind: Literal["inputs", "outputs"]) -> list[tuple[Any, ...]]:
    """The path of each input or output in the lists and dicts with which the model was built."""
    structure = structure_of(model, kind)
    if structure is None:
        return []
    return [path for path, _ in keras.tree.flatten_with_path(structure)]


def stand_in(tensor: Any) -> Value:
    """A value with a tensor's shape, in which an open size is 1."""
    value = Value.of(tuple(size or 1 for size in tensor.shape[1:]))
    return value.made_by(Call("stand_in", (), tensor.name, {"out": value.stored}))
