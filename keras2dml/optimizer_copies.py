"""Copies of Keras' optimizers, with what their configs leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

NO_CONFIG = (AttributeError, KeyError, NotImplementedError, TypeError, ValueError)
"""What is raised where a class of a user's cannot be made of its config."""


def arguments_of(optimizer: Any) -> dict[str, Any]:
    """The arguments of an optimizer, by name. Its learning rate is a number or the schedule itself,
    which need not have a config.
    """
    rate = optimizer._learning_rate
    if not callable(rate):
        config: dict[str, Any] = optimizer.get_config()
        return config
    optimizer._learning_rate = None
    try:
        return {**optimizer.get_config(), "learning_rate": rate}
    finally:
        optimizer._learning_rate = rate


def optimizer_like(
    optimizer: Any, arguments: Mapping[str, Any], twins: Mapping[int, Any] | None = None
) -> Any:
    """A new optimizer of the same kind with these arguments, that leaves the same variables out of
    weight decay; or their `twins`, by the ids of the variables.
    """
    copy = type(optimizer).from_config({**arguments})
    excluded = getattr(optimizer, "_exclude_from_weight_decay", None) or set()
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if excluded or pattern is not None:
        copy.exclude_from_weight_decay(var_names=None if pattern is None else [pattern.pattern])
        # Keras keeps ids: those of variables that there are no more stay as they are.
        copy._exclude_from_weight_decay = {
            key if twins is None or key not in twins else id(twins[key]) for key in excluded
        }
    return copy


def twins_of(model: keras.Model, copy: keras.Model) -> dict[int, Any]:
    """The weights of a copy by the ids of those of the model."""
    return {id(own): twin for own, twin in zip(model.weights, copy.weights, strict=True)}
