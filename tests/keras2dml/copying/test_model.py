"""Copies of Keras models: their weights, what of them is trainable, and what they are compiled with
are those of the model.
"""

from __future__ import annotations

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import layers
from oracle import seeded

from keras2dml import InvalidData, UnsupportedModel
from keras2dml.compilation import Compilation
from keras2dml.training.trained_copies import keras_model

X = np.random.default_rng(5).normal(size=(6, 3))


class Early(keras.Model):
    """A functional model with its layers as attributes in another order than they are called."""

    def __init__(self, units: int) -> None:
        self.head = layers.Dense(units, name="head")
        self.body = layers.Dense(3, name="body")
        inputs = keras.Input((3,))
        super().__init__(inputs, self.head(self.body(inputs)))


def deep() -> keras.Model:
    inputs = keras.Input((3,))
    hidden = layers.Dense(4, "tanh", name="hidden")(inputs)
    return seeded(keras.Model(inputs, layers.Dense(2, name="last")(hidden)))


def copy_of(model: keras.Model, compilation: Compilation | None = None) -> keras.Model:
    compilation = compilation or Compilation.of(model)
    return keras_model(compilation, compilation.weights())


@pytest.mark.parametrize("units", [3, 2])
@pytest.mark.parametrize("nested", [False, True])
def test_layers_that_are_attributes_first_keep_their_weights(units, nested):
    model = Early(units)
    if nested:
        inputs = keras.Input((3,))
        model = keras.Model(inputs, model(inputs))
    seeded(model)
    copy = copy_of(model)
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))
    for mine, keras_own in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, keras_own)


def test_what_is_trained_is_what_keras_trains():
    model = deep()
    model.trainable = False
    model.get_layer("hidden").trainable = True
    assert not Compilation.of(model).graph.trained
    assert not copy_of(model).trainable_weights
    inner = deep()
    inner.trainable = False
    inner.get_layer("hidden").bias.trainable = True
    inputs = keras.Input((3,))
    outer = keras.Model(inputs, inner(inputs))
    compilation = Compilation.of(outer)
    assert len(compilation.graph.trained) == len(outer.trainable_weights) == 1
    assert len(copy_of(outer).trainable_weights) == 1


def test_a_copy_is_as_trainable_as_the_model_was_when_it_was_compiled():
    model = deep()
    model.compile("adam", "mse")
    compilation = Compilation.of(model)
    model.get_layer("hidden").trainable = False
    matrices = {**compilation.weights(), **compilation.state()}
    copy = keras_model(compilation, matrices, steps=3)
    assert len(copy.trainable_weights) == len(copy.optimizer._momentums) == 4


def beside_a_model(dense):
    inputs = keras.Input((3,))
    inner = keras.Model(inputs, dense(layers.Dense(3)(inputs)))
    whole = keras.Model(inputs, layers.Dense(3)(inner.output))
    outer = keras.Input((3,))
    return keras.Model(outer, dense(inner(outer)) + whole(outer))


def beside_a_sequential(dense):
    inner = keras.Sequential([keras.Input((3,)), dense])
    outer = keras.Input((3,))
    return keras.Model(outer, dense(inner(outer)))


def beside_a_wrapper(dense):
    outer = keras.Input((3,))
    steps = layers.TimeDistributed(dense)(layers.RepeatVector(2)(outer))
    return keras.Model(outer, dense(steps[:, 0]))


@pytest.mark.parametrize("shared", [beside_a_model, beside_a_sequential, beside_a_wrapper])
@pytest.mark.parametrize("activation", ["tanh", lambda x: keras.ops.tanh(x) + 1])
def test_a_layer_in_a_model_and_outside_of_it_is_in_both_copies(shared, activation):
    dense = layers.Dense(3, activation)
    model = seeded(shared(dense))
    dense.bias.trainable = False
    model.compile("adam", "mse")
    copy = copy_of(model)
    assert len(copy.weights) == len(model.weights)
    assert len(copy.trainable_weights) == len(model.trainable_weights)
    for built in (model, copy):
        built.fit(X, X, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))


def cell_of_two_layers(cell, steps):
    return layers.RNN(cell)(steps) + layers.RNN(cell, go_backwards=True)(steps)


def cell_on_itself(cell, steps):
    return layers.RNN([cell, cell])(steps)


@pytest.mark.parametrize("shared", [cell_of_two_layers, cell_on_itself])
def test_a_cell_that_copies_have_twice_is_refused_before_it_is_trained(shared):
    steps = keras.Input((5, 3))
    compilation = Compilation.of(keras.Model(steps, shared(layers.LSTMCell(3), steps)))
    with pytest.raises(UnsupportedModel, match="other layers or weights"):
        compilation.check_trainable()


@pytest.mark.parametrize(
    ("layer", "change", "message"),
    [
        (layers.Dense, {"use_bias": False}, "has use_bias=False, but a bias"),
        (layers.Dense, {"bias": None}, "has use_bias=True, but no bias"),
        (layers.Dense, {"bias": np.zeros(4)}, "computes with something that is no weight"),
        (layers.Embedding, {"mask_zero": True}, "got mask_zero=True after it was built"),
    ],
)
def test_a_layer_that_was_changed_once_it_was_built_is_refused(layer, change, message):
    inputs = keras.Input((3,))
    changed = layer(4) if layer is layers.Dense else layer(5, 4)
    model = keras.Model(inputs, changed(inputs))
    for name, value in change.items():
        setattr(changed, name, value)
    with pytest.raises(UnsupportedModel, match=message):
        Compilation.of(model)


@pytest.mark.parametrize("by_name", [False, True])
def test_variables_without_weight_decay_have_none_in_copies(by_name):
    model = deep()
    bias = model.get_layer("hidden").bias
    excluded = {"var_names": ["bias"]} if by_name else {"var_list": [bias]}
    optimizer = keras.optimizers.AdamW(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(**excluded)
    model.compile(optimizer, "mse")
    decays = [optimizer._use_weight_decay(weight) for weight in model.weights]
    assert False in decays
    compilation = Compilation.of(model, {"learning_rate": 0.1})
    copy = copy_of(model, compilation)
    assert [copy.optimizer._use_weight_decay(weight) for weight in copy.weights] == decays
    decayed = {one.position: one.weight.variable for one in compilation.graph.parameters}
    ours = [compilation.optimizer.decay(decayed[place]) > 0 for place in range(len(decays))]
    assert ours == decays


def test_the_optimizer_is_as_it_was_when_the_model_was_compiled():
    model = deep()
    model.compile(keras.optimizers.AdamW(0.25, weight_decay=0.5), "mse")
    compilation = Compilation.of(model)
    model.optimizer.learning_rate = 0.5
    model.optimizer.weight_decay = 0.125
    optimizer = copy_of(model, compilation).optimizer
    assert (float(optimizer.learning_rate), optimizer.weight_decay) == (0.25, 0.5)
    assert compilation.optimizer.rates(0) == 0.25
    assert compilation.optimizer.decay(model.get_layer("hidden").kernel) == 0.5


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule without a config."""

    def __call__(self, step):
        return 0.5 / (1 + keras.ops.cast(step, "float64"))


class Error(keras.metrics.MeanMetricWrapper):
    """A metric whose constructor has other arguments than its config."""

    def __init__(self, name="error", dtype=None):
        super().__init__(keras.losses.mean_squared_error, name=name, dtype=dtype)


def test_parts_without_a_config_are_copied():
    model = deep()
    model.compile(keras.optimizers.SGD(Falling()), "mse", metrics=[Error()])
    compilation = Compilation.of(model, {"momentum": 0.5})
    copy = copy_of(model, compilation)
    assert float(copy.optimizer.learning_rate) == 0.5
    assert "error" in copy.evaluate(X, X[:, :2], verbose=0, return_dict=True)


@pytest.mark.parametrize(
    "way", [{"run_eagerly": True}, {"steps_per_execution": 3, "jit_compile": True}]
)
def test_a_copy_runs_as_the_model_does(way):
    model = deep()
    model.compile("sgd", "mse", **way)
    copy = copy_of(model)
    for name in ("run_eagerly", "steps_per_execution", "jit_compile"):
        assert getattr(copy, name) == getattr(model, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model.optimizer, "clipnorm", 1.0), "has a different clipnorm"),
        (
            lambda model: setattr(model.optimizer, "_learning_rate", Falling()),
            "has a different learning_rate",
        ),
        (lambda model: model.compile(model.optimizer, "mae"), r"created \(loss changed\): create"),
        (
            lambda model: model.compile("sgd", "mse"),
            "^The Keras model was compiled again after the estimator was created: create the est",
        ),
        (lambda model: model.compile(model.optimizer, "mse", 0.5), r"\(loss_weights changed\)"),
        (lambda model: model.compile(model.optimizer, "mse", metrics=["mae"]), "metrics changed"),
        (lambda model: setattr(model.layers[1], "name", "hid"), "^hidden.name changed in the K"),
        (lambda model: setattr(model, "run_eagerly", True), "^run_eagerly changed"),
        (
            lambda model: setattr(model.layers[1], "dtype_policy", "float32"),
            "^hidden.dtype_policy changed",
        ),
        (
            lambda model: setattr(model.layers[1], "activation", keras.activations.relu),
            "hidden.activation changed",
        ),
        (
            lambda model: setattr(model.layers[1].kernel, "regularizer", keras.regularizers.L2()),
            "hidden/kernel.regularizer changed",
        ),
    ],
)
def test_what_changes_once_the_model_was_compiled_is_refused_before_it_is_trained(change, message):
    model = deep()
    model.compile(keras.optimizers.SGD(Falling()), "mse")
    compilation = Compilation.of(model)
    compilation.check_trainable()
    change(model)
    with pytest.raises(InvalidData, match=message):
        compilation.check_trainable()


def test_a_layer_may_be_named_like_the_optimizer():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="optimizer")])
    model.compile("sgd", "mse")
    compilation = Compilation.of(model)
    model.layers[0].activation = keras.activations.relu
    model.compile("sgd", "mse")
    with pytest.raises(InvalidData, match=r"created \(optimizer.activation changed\): create"):
        compilation.check_trainable()


@pytest.mark.parametrize(
    ("change", "message", "is_copied"),
    [
        (lambda model: setattr(model.loss, "reduction", "sum"), "loss.huber_loss.reduction", False),
        (lambda model: model.loss._fn_kwargs.update({"delta": 2.0}), "loss.huber_loss.arg", False),
        (lambda model: setattr(model.layers[0], "pool_size", (3,)), "pool.pool_size", True),
        (lambda model: model.layers[1].arguments.update({"k": 3}), "times.arguments", True),
        (lambda model: setattr(model.layers[2].activity_regularizer, "l2", 1.0), "reg", True),
        (
            lambda model: setattr(model.layers[3].forward_layer.cell, "activation", np.tanh),
            r"lstm_cell\.activation",
            True,
        ),
        (lambda model: keras.config.set_floatx("float32"), "floatx", False),
        (lambda model: model.add(layers.Dropout(0.5)), "^layers changed", True),
        (lambda model: model.pop(), "^layers changed", True),
    ],
)
def test_parts_that_change_are_noticed(change, message, is_copied):
    times = layers.Lambda(lambda x, k: x * k, arguments={"k": 2}, name="times")
    parts = layers.MaxPooling1D(2, name="pool"), times, layers.Dense(2, activity_regularizer="l2")
    both_ways = layers.Bidirectional(layers.LSTM(2))  # of cells with one name
    model = keras.Sequential([keras.Input((6, 3)), *parts, both_ways])
    model.compile("sgd", keras.losses.Huber())
    compilation = Compilation.of(model)
    matrices = compilation.weights()
    change(model)
    with pytest.raises(InvalidData, match=message):
        compilation.check_trainable()
    with pytest.raises(InvalidData, match=message) if is_copied else nullcontext():
        keras_model(compilation, matrices)
