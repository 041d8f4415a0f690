"""Arguments that rules honour in part: what they declare is what they refuse."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import keras
import pytest
from keras import layers, ops

from keras2dml import UnsupportedModel
from keras2dml.export.support_page import arguments_of
from keras2dml.reader import read
from keras2dml.rules import LOWERINGS, Lowering

RECURRENT = (layers.SimpleRNN, layers.LSTM, layers.GRU)
IMAGES = ((layers.ConvLSTM1D, (3, 4, 2)), (layers.ConvLSTM2D, (3, 4, 5, 2)))


def normalized() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), layers.BatchNormalization()])


def recurrent() -> Iterator[tuple[type, str, tuple[int, ...], Callable[[], keras.Layer]]]:
    """Layers with an activation that recurrent layers do not have, of each of their two."""
    for argument in ("activation", "recurrent_activation"):
        chosen = {argument: "swish"}
        for kind in RECURRENT:
            if argument in arguments_of(kind):
                yield kind, argument, (3, 2), lambda kind=kind, chosen=chosen: kind(4, **chosen)
        for kind, shape in IMAGES:
            yield kind, argument, shape, lambda kind=kind, chosen=chosen: kind(4, 2, **chosen)


class Cell(layers.SimpleRNNCell):
    """A cell of a user's."""


CASES: list[tuple[type, str, tuple[int, ...], Callable[[], Any]]] = [
    (layers.BatchNormalization, "axis", (3, 4), lambda: layers.BatchNormalization(0)),
    (layers.CategoryEncoding, "output_mode", (3, 2), lambda: layers.CategoryEncoding(4)),
    (layers.Concatenate, "axis", (3,), lambda: lambda x: layers.Concatenate(0)([x, x])),
    (
        *(layers.Discretization, "output_mode", (3, 2)),
        lambda: layers.Discretization([0.0, 1.0], output_mode="count"),
    ),
    (layers.Dot, "axes", (3,), lambda: lambda x: layers.Dot(0)([x, x])),
    (layers.Dropout, "noise_shape", (3, 4), lambda: layers.Dropout(0.5, noise_shape=(1, 3, 4))),
    (layers.EinsumDense, "equation", (3, 4), lambda: layers.EinsumDense("abc,bcd->abd", (3, 5))),
    (layers.GroupNormalization, "axis", (3, 4), lambda: layers.GroupNormalization(1, axis=0)),
    (
        *(layers.IntegerLookup, "vocabulary", (3,)),
        lambda: layers.IntegerLookup(vocabulary=[1, 5_000_000]),
    ),
    (
        *(layers.IntegerLookup, "output_mode", (3, 2)),
        lambda: layers.IntegerLookup(vocabulary=[1, 2], output_mode="count"),
    ),
    (layers.Lambda, "function", (3,), lambda: layers.Lambda(lambda x: ops.cumprod(x, axis=-1))),
    (layers.LayerNormalization, "axis", (3, 4), lambda: layers.LayerNormalization(axis=0)),
    (layers.Masking, "mask_value", (3, 2), lambda: layers.Masking([0.0, 1.0])),
    (
        *(layers.MultiHeadAttention, "attention_axes", (3, 4, 2)),
        lambda: lambda x: layers.MultiHeadAttention(2, 3, attention_axes=2)(x, x),
    ),
    (layers.RNN, "cell", (3, 2), lambda: layers.RNN(Cell(4))),
    (layers.RMSNormalization, "axis", (3, 4), lambda: layers.RMSNormalization(1)),
    (layers.Softmax, "axis", (3,), lambda: layers.Softmax(0)),
    (layers.TimeDistributed, "layer", (3, 2), lambda: layers.TimeDistributed(normalized())),
    (layers.UnitNormalization, "axis", (3, 4), lambda: layers.UnitNormalization(0)),
    *recurrent(),
]
NAMED_OTHERWISE = {"recurrent_activation": "activation"}
"""What messages call an argument that they do not call by its name."""
TOLD_ELSEWHERE = ("activation",)
"""Which activations of one's own are compiled is a section of the page."""


def declared() -> set[tuple[type, str]]:
    """The layers of Keras with their arguments that are honoured in part."""
    return {
        (kind, argument)
        for kind, lowering in LOWERINGS.items()
        if kind.__module__.startswith("keras.")
        for argument in lowering.partly.intersection(arguments_of(kind))
    }


def test_each_argument_that_is_declared_has_a_case() -> None:
    assert {(kind, argument) for kind, argument, *_ in CASES} == declared()


@pytest.mark.parametrize(
    ("kind", "argument", "shape", "make"), CASES, ids=[f"{c[0].__name__}-{c[1]}" for c in CASES]
)
def test_a_value_of_it_is_refused_by_name(kind, argument, shape, make):
    inputs = keras.Input(batch_shape=(2, *shape))
    with pytest.raises(UnsupportedModel) as refusal:
        read(keras.Model(inputs, make()(inputs)))
    (complaint,) = refusal.value.complaints
    assert f"({kind.__name__})" in complaint or kind is layers.RNN  # whose cell is named
    assert NAMED_OTHERWISE.get(argument, argument) in complaint


def test_no_refusal_names_an_argument_that_is_not_declared() -> None:
    lowerings = {
        kind: LOWERINGS[kind]
        for kind in LOWERINGS
        if issubclass(kind, keras.Layer) and kind.__module__.startswith("keras.")
    }
    refused = {
        (kind, argument)
        for kind, lowering in lowerings.items()
        for argument in named_in_refusals(lowering)
        if argument in lowering.honours and argument not in TOLD_ELSEWHERE
    }
    assert len(refused) > 15
    assert {case for case in refused if case[1] not in LOWERINGS[case[0]].partly} == set()


REFUSED = re.compile(r"\bhas (?:the |a )?(\w+)(?:=| \{)")


def named_in_refusals(lowering: Lowering) -> set[str]:
    """What messages of a rule, and of the functions in the rules that it uses, say a layer has."""
    pending, seen = [lowering.rule], set[Any]()
    while pending:
        function = pending.pop()
        if function not in seen:
            seen.add(function)
            pending += used_by(function)
    return {name for function in seen for name in REFUSED.findall(inspect.getsource(function))}


def used_by(function: Any) -> Iterator[Any]:
    """The functions and classes of the modules of rules that a function uses."""
    methods = vars(function).values() if inspect.isclass(function) else [function]
    for method in methods:
        if isinstance(method, FunctionType):
            for name in names_in(method.__code__):
                value = method.__globals__.get(name)
                for part in value.values() if isinstance(value, dict) else [value]:
                    module = getattr(part, "__module__", None) or ""
                    of_rule = isinstance(part, (FunctionType, type))
                    if of_rule and module.startswith("keras2dml.rules."):
                        yield part


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)
