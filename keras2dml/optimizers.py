"""Optimizers: the DML update of a variable, the state that it keeps, and its constants, from Keras'
optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

NEUTRAL = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "amsgrad": False,
}


@dataclass(frozen=True)
class Optimizer:
    """The library function `<function>_update`; `state` names the matrices kept for each variable,
    zero at first.
    """

    function: str
    learning_rate: float
    state: tuple[str, ...]
    constants: Mapping[str, float]


def optimizer_of(optimizer: keras.optimizers.Optimizer) -> tuple[Optimizer | None, list[str]]:
    """The Optimizer that does what Keras' does, or the complaints about it."""
    if type(optimizer) not in (keras.optimizers.SGD, keras.optimizers.Adam):
        name = type(optimizer).__name__
        return None, [
            f"The optimizer is {name}. Compiled are SGD and Adam: compile() the model with"
            " one of these."
        ]
    config = optimizer.get_config()
    complaints = [
        f"The optimizer {optimizer.name!r} has {key}={config[key]!r}. It is compiled with"
        f" {key}={value!r} only: leave it out."
        for key, value in NEUTRAL.items()
        if config.get(key, value) != value
    ]
    rate = config["learning_rate"]
    if not isinstance(rate, float):
        complaints.append(
            "The optimizer has a learning rate schedule. A constant one is compiled: give a number."
        )
        return None, complaints
    if isinstance(optimizer, keras.optimizers.Adam):
        constants = {name: float(config[name]) for name in ("beta_1", "beta_2", "epsilon")}
        # Keras' cast takes a Python number by way of float32, also for a float64 model.
        constants |= {f"bias_{n}": float(np.float32(config[f"beta_{n}"])) for n in (1, 2)}
        return Optimizer("adam", rate, ("mean", "variance"), constants), complaints
    if config["momentum"] == 0:
        return Optimizer("sgd", rate, (), {}), complaints
    function = "sgd_nesterov" if config["nesterov"] else "sgd_momentum"
    return Optimizer(
        function, rate, ("velocity",), {"momentum": float(config["momentum"])}
    ), complaints
