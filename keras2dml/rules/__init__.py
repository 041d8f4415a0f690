"""The lowering rules: one function for each Keras layer, found by the layer's class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras2dml.graph import (
    IDENTITY,
    INPUTS,
    PENALTY,
    Call,
    Constant,
    Node,
    Scalar,
    Value,
    Weight,
    source_of,
)
from keras2dml.rules.arguments import (
    PARTS,
    defaults_of,
    is_default,
    misfits,
    shown,
    strengths,
    without_config,
)
from keras2dml.rules.arguments import config_of as config_of
from keras2dml.rules.arguments import named as named
from keras2dml.rules.changed_layers import changes
from keras2dml.rules.operators import nodes as nodes
from keras2dml.rules.user_classes import is_users, kind_of
from keras2dml.traits import Trait

Rule = Callable[..., Value | tuple[Value, ...]]

# Arguments that every layer has and that do not change what a built layer computes, like
# initializers, and the regularizers and constraints of its variables. A model passes `training` to
# its layers, whatever they were called with.
HARMLESS = frozenset(("name", "trainable", "dtype", "quantization_config"))
PASSED_ON = frozenset(("training",))
PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


class Refusal(Exception):
    """A rule's complaints about one layer."""

    def __init__(self, *complaints: str) -> None:
        super().__init__(*complaints)
        self.complaints = complaints


@dataclass(frozen=True)
class Lowering:
    """A rule and the layer's arguments that it honours, those of them `partly` that it refuses for
    some values.
    """

    rule: Rule
    honours: frozenset[str]
    partly: frozenset[str] = frozenset()
    masks: bool = False

    def complaints(self, layer: Any) -> Iterator[str]:
        """Every argument of `layer` that differs from Keras' default and that the rule ignores."""
        if not isinstance(layer, keras.Layer):
            return
        defaults = defaults_of(type(layer))
        try:
            config = {} if isinstance(layer, keras.Model) else config_of(layer)
        except NotImplementedError:  # from Keras, for a user's class with arguments
            yield (
                f"{without_config(layer)} has no get_config(), which is needed to know its"
                " arguments and to copy it: add one."
            )
            return
        for argument, value in config.items():
            if (
                argument in self.honours
                or argument in HARMLESS
                or argument.endswith(PARTS)
                or is_default(value, defaults.get(argument))
            ):
                continue
            shown_value = shown(getattr(layer, argument, value))
            yield (
                f"{named(layer)} has {argument}={shown_value}. keras2dml compiles this layer only"
                f" with {argument}={defaults.get(argument)!r}: leave the argument out."
            )
        policy = layer.dtype_policy
        if policy.compute_dtype != policy.variable_dtype or policy.compute_dtype not in (
            "float32",
            "float64",
        ):
            yield (
                f"{named(layer)} has dtype {policy.name!r}. SystemDS computes in float64: use"
                " 'float32' or 'float64'."
            )
        yield from changes(layer)

    def options(
        self, layer: Any, keywords: Mapping[str, object]
    ) -> tuple[dict[str, Any], list[str]]:
        """The keyword arguments of a layer's call that the rule takes, and complaints about
        others.
        """
        parameters = inspect.signature(self.rule).parameters
        options = {
            name: value
            for name, value in keywords.items()
            if name not in PASSED_ON
            and any(part is not None and part is not False for part in keras.tree.flatten(value))
        }
        refused = [
            f"{named(layer)} is called with {name}. It is only compiled without: leave {name} out."
            for name in options
            if name not in parameters
        ]
        return {name: value for name, value in options.items() if name in parameters}, refused


LOWERINGS: dict[type, Lowering] = {}
REMEDIES = dict.fromkeys(
    (
        keras.layers.StringLookup,
        keras.layers.TextVectorization,
        keras.layers.Hashing,
        keras.layers.HashedCrossing,
    ),
    "Matrices hold numbers: apply the layer to X first, and begin the model with its output.",
)
"""The remedy for text layers, which no other layer can replace."""


def lowers(
    *layers: type, honours: str = "", partly: str = "", masks: bool = False
) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of `layers`; `honours` lists the arguments that
    it takes into account, `partly` those of them of which it refuses some values. A rule with
    `masks` takes and returns values with their masks; other rules get values without, and their
    results have the masks that Keras attaches by default.

    The rule is called with the Keras layer, the input Values, and those keyword arguments of the
    layer's call that it names. It returns the output Value, or a tuple of them; `call` creates one.
    It may raise Refusal. An argument that it does not honour is refused unless it has Keras'
    default.
    """

    names, limited = frozenset(honours.split()), frozenset(partly.split())
    if unknown_names := limited - names:
        message = f"partly names {', '.join(sorted(unknown_names))}, which honours does not."
        raise ValueError(message)

    def register(rule: Rule) -> Rule:
        for layer in layers:
            LOWERINGS[layer] = Lowering(rule, names, limited, masks)
        return rule

    return register


def lowered(layer: Any, *inputs: Value, **options: object) -> tuple[Value, ...]:
    """The outputs of a layer for these inputs. Raises Refusal with all complaints about it."""
    lowering = LOWERINGS.get(kind_of(layer))
    if lowering is None:
        raise Refusal(unknown(layer))
    complaints = list(lowering.complaints(layer))
    if not isinstance(layer, keras.Layer) and (unfit := [*misfits(layer)]):
        raise Refusal(*unfit)
    keywords, refused = lowering.options(layer, options)
    plain: Sequence[Any] = inputs if lowering.masks else [_unmasked(value) for value in inputs]
    if not lowering.masks and _regards_masks(layer) and any(map(_is_masked, inputs)):
        complaints.append(
            f"{named(layer)} gets a mask from an earlier layer, and is only compiled without. Leave"
            " Masking or mask_zero out, or put it after this layer."
        )
    try:
        results = lowering.rule(layer, *plain, **keywords)
    except Refusal as refusal:
        raise Refusal(*complaints, *refused, *refusal.complaints) from None
    penalty = getattr(layer, "activity_regularizer", None)
    if penalty is not None and type(penalty) not in PENALTIES:
        complaints.append(
            f"{named(layer)} has the activity_regularizer {type(penalty).__name__}. Only L1, L2 and"
            " L1L2 are compiled: use one of these."
        )
    if complaints or refused:
        raise Refusal(*complaints, *refused)
    values = results if isinstance(results, tuple) else (results,)
    if not lowering.masks and inputs and getattr(layer, "supports_masking", False):
        first = inputs[0]
        values = (values[0].with_masks(first.mask, first.recorded), *values[1:])
    return values if penalty is None else tuple(_penalized(layer.name, penalty, x) for x in values)


def _unmasked(value: Any) -> Any:
    return value.with_masks(None, None) if isinstance(value, Value) else value


def _is_masked(value: Any) -> bool:
    return isinstance(value, Value) and value.mask is not None


def _regards_masks(layer: Any) -> bool:
    """Whether the result or the mask of a layer depends on the mask of its input."""
    if not isinstance(layer, keras.Layer):
        return False
    default = type(layer).compute_mask is keras.Layer.compute_mask
    return not default or any(name.endswith("mask") for name in layer.call_signature_parameters)


def unknown(layer: Any) -> str:
    """The complaint about a layer or an operation that has no rule."""
    if is_users(layer):
        return (
            f"{named(layer)} has its own call(), whose code is not compiled. Call its layers on"
            " keras.Input, and give keras.Model(inputs, outputs)."
        )
    kind = "layers" if isinstance(layer, keras.Layer) else "operations"
    compiled = f"`python -m keras2dml support` lists the {kind} that are: use these."
    remedy = REMEDIES.get(type(layer), compiled)
    return f"{named(layer)} is not compiled. {remedy}"


def _penalized(name: str, penalty: Any, x: Value) -> Value:
    """The same value, with a penalty that is added to the loss in training."""
    sizes = {**strengths(penalty), "parts": x.rows}
    traits = [Trait.KINK_ON_JAX] if sizes["l1"] else []
    return call(name, IDENTITY, x, sizes=sizes, training=PENALTY, traits=traits)


def call(
    name: str,
    function: str,
    *inputs: Value,
    to: Value | None = None,
    others: Mapping[str, Value] | None = None,
    weights: tuple[Weight, ...] = (),
    constants: tuple[Constant, ...] = (),
    sizes: Mapping[str, Scalar] | None = None,
    onnx: Node | tuple[Node, ...] = (),
    training: str | None = None,
    untrained: str = "",
    arguments: tuple[str, ...] = INPUTS,
    constant: bool = False,
    traits: Iterable[Trait] = (),
) -> Value:
    """The value that a call of a DML function returns, with the layout of `to` or of the first
    input.
    `name` is that of the layer.

    `others` describes further results of the function by name; `result` gets them from the value.
    """
    nodes = (onnx,) if isinstance(onnx, Node) else onnx
    out = to or inputs[0]
    stored = {"out": out, **(others or {})}
    results = {key: value.stored for key, value in stored.items()}
    step = Call(
        function,
        inputs,
        name,
        results,
        weights,
        constants,
        sizes or {},
        nodes,
        training,
        untrained,
        arguments,
        constant,
        frozenset(traits),
    )
    return out.made_by(step)


def result(value: Value, name: str, like: Value) -> Value:
    """Another result of the call that computes `value`, with the layout of `like`."""
    return like.made_by(source_of(value), name)
