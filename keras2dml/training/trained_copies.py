"""Copies of Keras models with the weights and optimizer state of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras2dml.copying.model import copied, parts_of
from keras2dml.keras_internals import has_fixed_vocabulary, iterations_of, rate_products_of

if TYPE_CHECKING:
    from keras2dml.compilation import Compilation


def keras_model(
    compilation: Compilation,
    matrices: Mapping[str, np.ndarray],
    steps: int = 0,
    rate: float | None = None,
    *,
    compiled: bool = False,
) -> keras.Model:
    """A copy of the Keras model, compiled as it was, with these weights, and with the optimizer's
    matrices that are among them, after so many steps, and at this learning rate. Raises InvalidData
    if the model's layers were changed since.
    """
    compilation.settings.check(compilation.model, copied=True)
    copy = copied(compilation.model)
    compilation.trainable.enter(copy)
    if compilation.model.compiled or compiled:
        compilation.configuration.compile(copy, compilation.model)
    enter(compilation, copy, matrices, steps, rate)
    return copy


def enter(
    compilation: Compilation,
    copy: keras.Model,
    matrices: Mapping[str, np.ndarray],
    steps: int,
    rate: float | None = None,
) -> None:
    """Give a copy of the model these weights, and its optimizer these matrices and this rate, if it
    is not the one that it was made with.
    """
    model = compilation.model
    variables = model.get_weights()
    for parameter in compilation.graph.parameters:
        before = variables[parameter.position]
        weight = parameter.weight.to_keras(matrices[parameter.name])
        variables[parameter.position] = weight.astype(before.dtype)
    copy.set_weights(variables)
    for layer, before in zip(parts_of(copy), parts_of(model), strict=True):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # what was adapted is among the weights
        if isinstance(layer, keras.layers.IntegerLookup) and not has_fixed_vocabulary(layer):
            layer.set_vocabulary(before.get_vocabulary())  # and here it is not
    if copy.compiled and rate is not None:
        copy.optimizer.learning_rate = rate
    if not (copy.compiled and steps):
        return
    copy.optimizer.build(copy.trainable_variables)
    iterations_of(copy.optimizer).assign(steps)
    if compilation.optimizer.factors is not None:
        rate_products_of(copy.optimizer).assign(compilation.optimizer.products(steps)[-1])
    for state in compilation.optimizer_matrices(copy):
        state.enter(matrices[state.name])
