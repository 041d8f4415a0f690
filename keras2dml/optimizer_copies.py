"""Copies of Keras' optimizers, with what their configs leave out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
    optimizer: Any, arguments: Mapping[str, Any], twins: Iterable[tuple[Any, Any]] = ()
) -> Any:
    """A new optimizer of the same kind with these arguments, that leaves the same variables out of
    weight decay, and of `twins` the second of each pair where it leaves out the first.
    """
    copy = type(optimizer).from_config({**arguments})
    excluded = getattr(optimizer, "_exclude_from_weight_decay", None) or set()
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if excluded or pattern is not None:
        copy.exclude_from_weight_decay(var_names=None if pattern is None else [pattern.pattern])
        keys = {optimizer._var_key(own): copy._var_key(twin) for own, twin in twins}
        copy._exclude_from_weight_decay = {keys.get(key, key) for key in excluded}
    return copy
