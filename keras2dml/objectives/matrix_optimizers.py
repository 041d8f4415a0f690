"""Optimizer steps that depend on the shape of a variable: Muon and Adafactor."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Scalar, Weight
from keras2dml.keras_internals import is_trained_by_adam
from keras2dml.objectives.update import Step
from keras2dml.rules.arguments import rounded


def adafactor(optimizer: Any, weight: Weight) -> Step:
    """Adafactor: the squares of gradients are factored into means along the last two axes; those of
    a vector are not factored.
    """
    constants = {
        "beta_2_decay": float(optimizer.beta_2_decay),
        "epsilon_1": float(optimizer.epsilon_1),
        "epsilon_2": rounded(optimizer.epsilon_2),
        "clip_threshold": float(optimizer.clip_threshold),
    }
    if len(weight.shape) < 2:
        return Step("adafactor_vector", {"v": 0.0}, constants)
    axes = {"last": -1, "before": -2}
    sizes: dict[str, Scalar] = {}
    for name, axis in axes.items():
        sizes[f"{name}_size"], sizes[f"{name}_stride"] = _extent(weight, axis)
    state = {"r": 0.0, "c": 0.0, "v": 0.0}
    return Step("adafactor", state, {**constants, **sizes}, reduced={"r": -1, "c": -2})


def _extent(weight: Weight, axis: int) -> tuple[int, int]:
    """The size of an axis of Keras' variable, and the stride of its elements in DML."""
    axes = weight.axes or tuple(range(len(weight.shape)))
    place = axes.index(axis % len(axes))
    return weight.stored[place], math.prod(weight.stored[place + 1 :])


def muon(optimizer: Any, weight: Weight) -> Step:
    """Muon: the momentum of matrices is orthogonalized, which does not depend on the order of rows
    and columns; other variables, and those that the user excludes, use Adam.
    """
    if is_trained_by_adam(optimizer, weight.variable):
        betas = {f"beta_{n}": float(getattr(optimizer, f"adam_beta_{n}")) for n in (1, 2)}
        bias = {f"bias_{n}": rounded(betas[f"beta_{n}"]) for n in (1, 2)}
        constants = {**betas, **bias, "epsilon": float(optimizer.epsilon)}
        state = {"momentums": 0.0, "velocities": 0.0}
        return Step("adam", state, constants, attributes={"velocities": "adam_velocities"})
    largest = keras.ops.maximum(*weight.shape)
    rate = 1.0 if optimizer.rms_rate is None else optimizer.rms_rate
    root = 1.0 if optimizer.rms_rate is None else float(np.asarray(keras.ops.sqrt(largest)))
    return Step(
        "muon",
        {"momentums": 0.0},
        {
            "momentum": float(optimizer.momentum),
            "nesterov": bool(optimizer.nesterov),
            "rounds": int(optimizer.ns_steps),
            "a": float(optimizer.muon_a),
            "b": float(optimizer.muon_b),
            "c": float(optimizer.muon_c),
            "rate": root * rate,
            "rows": weight.stored[0],
        },
    )


def muon_decay(optimizer: Any, variable: Any) -> float:
    """The weight decay of a variable; Muon has two."""
    by_adam = is_trained_by_adam(optimizer, variable)
    return optimizer.adam_weight_decay if by_adam else optimizer.weight_decay or 0.0
