"""Copies of Keras models, with the functions of users that Keras' own copies lose."""

from __future__ import annotations

from typing import Any

import keras

from keras2dml.rules import config_of
from keras2dml.rules.activations import is_of_keras
from keras2dml.rules.user_classes import is_users


def copied(model: keras.Model) -> keras.Model:
    """A copy with weights of its own, that is not compiled; of a user's class Keras' own model."""
    compiled = model.compiled
    model.compiled = False  # or Keras looks for the loss' and the metrics' functions by their names
    try:
        if not has_code(model):
            return keras.models.clone_model(model)
        copy = keras.models.clone_model(model, clone_function=_copied)
    finally:
        model.compiled = compiled
    if is_users(copy):  # of a class whose constructor is Keras' own
        copy = keras.Model(copy._inputs_struct, copy._outputs_struct, name=copy.name)
    return copy


def _copied(layer: Any) -> Any:
    """A layer made anew. Keras writes functions down by name or as code, without what they refer
    to; a copy has the same function.
    """
    kind = type(layer)
    if not isinstance(layer, keras.Layer) or not has_code(layer):
        return kind.from_config(config_of(layer))
    if isinstance(layer, keras.Model):
        return copied(layer)
    base = {"name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype_policy}
    if isinstance(layer, keras.layers.Lambda):
        shape, arguments = layer._output_shape, layer.arguments
        return kind(layer.function, output_shape=shape, arguments=arguments, **base)
    if isinstance(layer, keras.layers.Wrapper):
        return kind(_copied(layer.layer), **base)
    return kind.from_config({**config_of(layer), "activation": layer.activation})


def has_code(layer: Any) -> bool:
    """Whether a layer, or one in it, has a function of a user's, or is a model of their class."""
    return any(
        isinstance(part, keras.layers.Lambda)
        or is_users(part)
        or not is_of_keras(getattr(part, "activation", None) or keras.activations.linear)
        for part in layer._flatten_layers()
    )
