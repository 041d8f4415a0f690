"""Copies of Keras' optimizers, with what their configs leave out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keras2dml.keras_internals import (
    excluded_from_decay,
    key_of,
    learning_rate_of,
    pattern_excluded_from_decay,
    set_excluded_from_decay,
    set_learning_rate,
)

NO_CONFIG = (AttributeError, KeyError, NotImplementedError, TypeError, ValueError)
"""What is raised where a class of a user's cannot be made of its config."""


def arguments_of(optimizer: Any) -> dict[str, Any]:
    """The arguments of an optimizer, by name. Its learning rate is a number or the schedule itself,
    which need not have a config.
    """
    rate = learning_rate_of(optimizer)
    if not callable(rate):
        config: dict[str, Any] = optimizer.get_config()
        return config
    set_learning_rate(optimizer, None)
    try:
        return {**optimizer.get_config(), "learning_rate": rate}
    finally:
        set_learning_rate(optimizer, rate)


def optimizer_like(
    optimizer: Any, arguments: Mapping[str, Any], twins: Iterable[tuple[Any, Any]] = ()
) -> Any:
    """A new optimizer of the same kind with these arguments, that leaves the same variables out of
    weight decay, and of `twins` the second of each pair where it leaves out the first.
    """
    copy = type(optimizer).from_config({**arguments})
    excluded = excluded_from_decay(optimizer) or set()
    pattern = pattern_excluded_from_decay(optimizer)
    if excluded or pattern is not None:
        copy.exclude_from_weight_decay(var_names=None if pattern is None else [pattern.pattern])
        keys = {key_of(optimizer, own): key_of(copy, twin) for own, twin in twins}
        set_excluded_from_decay(copy, {keys.get(key, key) for key in excluded})
    return copy
