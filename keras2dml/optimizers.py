"""Optimizers: the DML update of a variable, the state that it keeps, and its constants, from Keras'
optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from keras2dml import backend

Constants = Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """The library function `<function>_update` of one variable. `state` names the matrices that it
    keeps for each, as the attributes of Keras' optimizer, and says what is in them at first.
    """

    function: str
    state: Mapping[str, float] = field(default_factory=dict)
    constants: Constants = field(default_factory=dict)
    factors: Callable[[np.ndarray], np.ndarray] | None = None
    """Of Nadam: its momentum's schedule, of which the product over all steps so far is taken."""


@dataclass(frozen=True, eq=False)
class Optimizer:
    """A step, and what Keras does around it."""

    step: Step
    rates: Callable[[int], float]
    """The learning rate of the step after so many."""
    decay: float = 0.0
    decays: Callable[[Any], bool] = bool
    """Whether the weight decay is for a Keras variable."""
    factor: Callable[[Any], float] = lambda variable: 1.0
    """By which the learning rate is multiplied for a Keras variable."""
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    accumulated: int = 1
    average: float | None = None
    """The momentum of the average of each weight, if there is one."""
    overwritten: int = 0
    """How often the averages take the weights' place; 0 for only at the end."""
    slices: bool = True
    """Whether Keras has an embedding's gradient in slices."""

    def scheduled(self, done: int, count: int, rate: float | None = None) -> np.ndarray:
        """What changes with the next `count` iterations, (count, 1 or 2): the learning rate, which
        may be given, and, of Nadam, the product of its schedule.
        """
        steps = range(done, done + count)
        rates = np.array([self.rates(before) if rate is None else rate for before in steps])
        if self.step.factors is None:
            return rates.reshape(-1, 1)
        return np.column_stack([rates, self.products(done + count)[done:]])

    def products(self, steps: int) -> np.ndarray:
        """Of Nadam: the product of its schedule up to each of the first steps."""
        made, rest = np.divmod(np.arange(1.0, steps + 1), self.accumulated)
        factors = self.step.factors(made) if self.step.factors else np.ones(steps)
        return np.where(rest == 0, factors, 1.0).cumprod()

    @property
    def state(self) -> dict[str, float]:
        """The matrices kept for each variable, and what is in them at first."""
        more = {
            "accumulated_gradients": self.accumulated > 1,
            "model_variables_moving_average": self.average is not None,
        }
        return {**self.step.state, **{name: 0.0 for name, kept in more.items() if kept}}


def optimizer_of(optimizer: Any) -> tuple[Optimizer | None, list[str]]:
    """The Optimizer that does what Keras' does, or the complaints about it."""
    kind = backend.kind_of(optimizer)
    if kind not in STEPS:
        names = (kind.__name__ for kind in STEPS)
        known = ", ".join(sorted(name for name in names if hasattr(keras.optimizers, name)))
        return None, [
            f"The optimizer is {kind.__name__}. Compiled are {known}: compile() the"
            " model with one of these."
        ]
    complaints = []
    if optimizer.loss_scale_factor not in (None, 1, 1.0):
        complaints.append(
            f"The optimizer {optimizer.name!r} has loss_scale_factor="
            f"{optimizer.loss_scale_factor!r}. SystemDS computes in float64: leave it out."
        )
    rate, plain = optimizer._learning_rate, (keras.Variable, LearningRateSchedule)
    if callable(rate) and not isinstance(rate, plain):
        complaints.append(
            f"The optimizer {optimizer.name!r} has a function as its learning_rate, which Keras"
            " calls when it traces a step, and neither copies nor saves: give a number or a"
            " schedule."
        )
        return None, complaints
    return Optimizer(
        step=STEPS[kind](optimizer),
        rates=_rates(optimizer),
        decay=_rounded(optimizer.weight_decay or 0.0),
        decays=optimizer._use_weight_decay,
        factor=getattr(optimizer, "factor", lambda variable: 1.0),
        clipnorm=optimizer.clipnorm or None,
        clipvalue=optimizer.clipvalue or None,
        global_clipnorm=optimizer.global_clipnorm or None,
        accumulated=optimizer.gradient_accumulation_steps or 1,
        average=optimizer.ema_momentum if optimizer.use_ema else None,
        overwritten=(optimizer.ema_overwrite_frequency or 0) if optimizer.use_ema else 0,
        slices=backend.is_tensorflow(),
    ), complaints


def _rates(optimizer: Any) -> Callable[[int], float]:
    """The learning rate by the number of steps done: the number that it is now, or one that Keras'
    own schedule computes.
    """
    rate = optimizer._learning_rate
    if isinstance(rate, LearningRateSchedule):
        return lambda done: float(rate(done))
    number = float(rate)
    return lambda done: number


def _rounded(number: float) -> float:
    """A number as Keras' cast takes it, on TensorFlow by way of float32 for float64 models, too."""
    return float(np.float32(number)) if backend.is_tensorflow() else float(number)


def _sgd(optimizer: Any) -> Step:
    if optimizer.momentum == 0:
        return Step("sgd")
    function = "sgd_nesterov" if optimizer.nesterov else "sgd_momentum"
    return Step(function, {"momentums": 0.0}, {"momentum": _rounded(optimizer.momentum)})


def _betas(optimizer: Any) -> dict[str, float]:
    own = {name: float(getattr(optimizer, name)) for name in ("beta_1", "beta_2", "epsilon")}
    return {**own, **{f"bias_{n}": _rounded(own[f"beta_{n}"]) for n in (1, 2)}}


def _adam(optimizer: Any) -> Step:
    state = {"momentums": 0.0, "velocities": 0.0}
    if not optimizer.amsgrad:
        return Step("adam", state, _betas(optimizer))
    return Step("adam_amsgrad", {**state, "velocity_hats": 0.0}, _betas(optimizer))


def _adamax(optimizer: Any) -> Step:
    constants = {name: value for name, value in _betas(optimizer).items() if name != "bias_2"}
    return Step("adamax", {"m": 0.0, "u": 0.0}, constants)


def _nadam(optimizer: Any) -> Step:
    constants = {
        "beta_1": _rounded(optimizer.beta_1),
        "beta_2": _rounded(optimizer.beta_2),
        "decay": _rounded(0.96),
        "epsilon": float(optimizer.epsilon),
    }

    def factors(steps: np.ndarray) -> np.ndarray:
        return np.asarray(optimizer.beta_1 * (1 - 0.5 * 0.96**steps))

    return Step("nadam", {"momentums": 0.0, "velocities": 0.0}, constants, factors)


def _rmsprop(optimizer: Any) -> Step:
    name, state = "rmsprop", {"velocities": 0.0}
    constants = {"rho": float(optimizer.rho), "epsilon": float(optimizer.epsilon)}
    if optimizer.centered:
        name += "_centered"
    if optimizer.momentum > 0:
        name += "_momentum"
        state["momentums"] = 0.0
        constants["momentum"] = float(optimizer.momentum)
    if optimizer.centered:
        state["average_gradients"] = 0.0
    return Step(name, state, constants)


def _adagrad(optimizer: Any) -> Step:
    state = {"accumulators": float(optimizer.initial_accumulator_value)}
    return Step("adagrad", state, {"epsilon": float(optimizer.epsilon)})


def _adadelta(optimizer: Any) -> Step:
    constants = {"rho": float(optimizer.rho), "epsilon": float(optimizer.epsilon)}
    return Step("adadelta", {"accumulated_grads": 0.0, "accumulated_delta_vars": 0.0}, constants)


def _ftrl(optimizer: Any) -> Step:
    names = (
        "learning_rate_power",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )
    state = {"accumulators": float(optimizer.initial_accumulator_value), "linears": 0.0}
    return Step("ftrl", state, {name: float(getattr(optimizer, name)) for name in names})


def _lion(optimizer: Any) -> Step:
    constants = {name: _rounded(getattr(optimizer, name)) for name in ("beta_1", "beta_2")}
    return Step("lion", {"momentums": 0.0}, constants)


STEPS: dict[type, Callable[[Any], Step]] = {
    keras.optimizers.SGD: _sgd,
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.Adamax: _adamax,
    keras.optimizers.Nadam: _nadam,
    keras.optimizers.RMSprop: _rmsprop,
    keras.optimizers.Adagrad: _adagrad,
    keras.optimizers.Adadelta: _adadelta,
    keras.optimizers.Ftrl: _ftrl,
    keras.optimizers.Lion: _lion,
}
