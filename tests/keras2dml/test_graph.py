"""The graph and the library of DML functions: orders, weights both ways, checks."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras.layers import Conv2D, Dense, Flatten
from oracle import model

from keras2dml import InvalidGraph
from keras2dml.check import check
from keras2dml.dml import syntax
from keras2dml.graph import Value
from keras2dml.reader import read
from keras2dml.rendering.forward import Forward

IMAGE = (5, 4, 3)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_weights_come_back_as_they_went(data_format):
    built = model(
        IMAGE,
        Conv2D(4, (3, 2), data_format=data_format),
        Flatten(data_format=data_format),
        Dense(4),
    )
    for one, variable in zip(read(built).parameters, built.get_weights(), strict=True):
        np.testing.assert_array_equal(one.weight.to_keras(one.weight.to_dml(variable)), variable)


def test_values_carry_the_order_of_keras():
    graph = read(model(IMAGE, Conv2D(2, 2), Flatten(), Dense(2)))
    features = np.arange(120).reshape(2, *IMAGE)
    stored = graph.input.as_stored(features)
    np.testing.assert_array_equal(stored[0].reshape(3, 5, 4), features[0].transpose(2, 0, 1))
    np.testing.assert_array_equal(graph.input.as_keras(stored), features)
    # Flatten hands the order on: nothing is permuted at run time.
    assert [call.function for call in graph.calls] == ["conv2d", "dense"]
    np.testing.assert_array_equal(graph.calls[1].inputs[0].order[:3], [0, 2, 4])


def test_names_are_dml_identifiers_and_unique():
    x = keras.Input((3,), name="in")
    one = Dense(3, name="block a-1")(x)
    built = keras.Model(x, Dense(3, name="1st")(Dense(3, name="block_a_1")(one)))
    graph = check(read(built))
    names = list(graph.names.values())
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name[0].isalpha() for name in names)


def test_every_function_of_the_library_is_read():
    files = syntax.library()
    assert {name.rsplit("_", 1)[-1] for name in files} >= {"forward", "backward", "gradients"}
    for function in files.values():
        assert function.arguments
        assert function.results
        assert function.text.rstrip().endswith("}")


def test_a_rule_that_forgets_a_size_is_found():
    graph = read(model(IMAGE, Conv2D(2, 2)))
    call = graph.calls[0]
    sizes = {name: size for name, size in call.sizes.items() if name != "Hf"}
    changed = replace(call, sizes=sizes)
    broken = replace(graph, calls=(changed,), names={**graph.names, changed: "out"})
    with pytest.raises(InvalidGraph, match="conv2d_forward takes Hf, which its rule does not give"):
        Forward.of(broken, training=False)


def test_a_rule_that_loses_an_element_is_found():
    graph = read(model(IMAGE, Conv2D(2, 2)))
    lost = replace(graph.input, order=np.zeros(60, dtype=int))
    with pytest.raises(InvalidGraph, match="has no order for each of its elements"):
        check(replace(graph, inputs=(lost,)))
    stranger = Value.of((4, 3, 2)).made_by(replace(graph.calls[0]))
    reads = replace(graph.calls[0], inputs=(stranger,))
    with pytest.raises(InvalidGraph, match="reads a value that no call before it made"):
        check(replace(graph, calls=(reads,)))
    unknown = replace(graph.calls[0], function="lost")
    with pytest.raises(InvalidGraph, match="no function 'lost_forward'"):
        check(replace(graph, calls=(unknown,)))
