"""What is scored, and not trained, where Keras is on JAX or PyTorch: by model, of each backend."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import model

from keras2dml import UnsupportedModel, backend
from keras2dml.compilation import Compilation

BOTH, JAX, TORCH, NEITHER = {"jax", "torch"}, {"jax"}, {"torch"}, set[str]()


def added(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Maximum()([x, layers.Dense(4)(x)])


def new(kind: type, *arguments: object, **keywords: object) -> Callable[..., keras.KerasTensor]:
    """What a new layer makes: one that is made here would have another dtype than the tests'."""

    def called(x: keras.KerasTensor) -> keras.KerasTensor:
        return kind(*arguments, **keywords)(x)

    return called


PARTS = {
    "relu": (new(layers.Activation, "relu"), NEITHER),
    "ceiling": (new(layers.ReLU, max_value=1.0), BOTH),
    "slope": (new(layers.LeakyReLU), JAX),
    "selu": (new(layers.Activation, "selu"), BOTH),
    "celu": (new(layers.Activation, "celu"), BOTH),
    "hard_tanh": (new(layers.Activation, "hard_tanh"), TORCH),
    "sparse_sigmoid": (new(layers.Activation, "sparse_sigmoid"), JAX),
    "sparsemax": (new(layers.Activation, "sparsemax"), JAX),
    "length": (new(layers.UnitNormalization), BOTH),
    "maximum": (added, BOTH),
    "maximum of a number": (lambda x: ops.maximum(x, 0.5), BOTH),
    "minimum of numbers": (lambda x: ops.minimum(np.arange(4.0), x), BOTH),
    "clip": (lambda x: ops.clip(x, -1.0, 1.0), BOTH),
    "logaddexp": (lambda x: ops.logaddexp(x, x * 2.0), BOTH),
    "absolute": (ops.abs, JAX),
    "norm": (lambda x: x / ops.norm(x, ord=1, axis=-1, keepdims=True), JAX),
    "sum": (lambda x: x + x * 2.0, NEITHER),
    "L1 of an output": (new(layers.ActivityRegularization, l1=0.1), JAX),
    "L2 of an output": (new(layers.ActivityRegularization, l2=0.1), NEITHER),
    "L1 of a weight": (new(layers.Dense, 4, kernel_regularizer="l1"), JAX),
    "L2 of a weight": (new(layers.Dense, 4, kernel_regularizer="l2"), NEITHER),
}
LOSSES = {
    "hinge": BOTH,
    "squared_hinge": NEITHER,
    "categorical_hinge": BOTH,
    "kl_divergence": BOTH,
    "cosine_similarity": BOTH,
    "mean_absolute_error": JAX,
    "mean_absolute_percentage_error": JAX,
    "mean_squared_error": NEITHER,
    "categorical_crossentropy": NEITHER,
}


def untrained(built: keras.Model, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The backends on which a compiled model is not trained for a derivative."""
    compilation = Compilation.of(built)
    refused = set[str]()
    for name in backend.BACKENDS:
        monkeypatch.setattr(backend, "backend", lambda name=name: name)
        try:
            compilation.check_trainable()
        except UnsupportedModel as error:
            assert f"Keras on {name} takes another derivative" in str(error)
            refused.add(name)
        finally:
            monkeypatch.undo()
    return refused


@pytest.mark.parametrize("case", PARTS)
def test_a_part_is_not_trained_where_its_derivative_is_another(case, monkeypatch):
    part, backends = PARTS[case]
    inputs = keras.Input((4,))
    built = keras.Model(inputs, part(layers.Dense(4)(inputs)))
    built.compile("sgd", "mean_squared_error")
    assert untrained(built, monkeypatch) == backends


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_not_trained_where_its_derivative_is_another(loss, monkeypatch):
    built = model((4,), layers.Dense(3, activation="softmax"))
    built.compile("sgd", loss)
    assert untrained(built, monkeypatch) == LOSSES[loss]
