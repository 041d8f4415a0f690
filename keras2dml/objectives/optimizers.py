"""Optimizers: the DML update of a variable, its state and its constants, from Keras' optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from keras2dml import backend
from keras2dml.graph import Weight
from keras2dml.keras_internals import is_decayed, is_trained_by_adam, learning_rate_of
from keras2dml.objectives.matrix_optimizers import adafactor, muon, muon_decay
from keras2dml.objectives.update import Step
from keras2dml.rules.arguments import rounded

__all__ = ["STEPS", "Optimizer", "Step", "optimizer_of"]


@dataclass(frozen=True, eq=False)
class Optimizer:
    """The step on each weight, and Keras' settings around it."""

    step: Callable[[Weight], Step]
    rates: Callable[[int], float]
    """The learning rate by the number of previous steps."""
    factors: Callable[[np.ndarray], np.ndarray] | None = None
    """For Nadam: the schedule of its momentum, whose product over all steps so far is used."""
    decay: Callable[[Any], float] = lambda variable: 0.0
    """The weight decay of a Keras variable."""
    factor: Callable[[Any], float] = lambda variable: 1.0
    """The factor of the learning rate for a Keras variable."""
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    accumulated: int = 1
    average: float | None = None
    """The momentum of the average of each weight, if there is one."""
    overwritten: int = 0
    """Steps between replacements of weights by averages; 0 for only at the end."""
    slices: bool = True
    """Whether Keras keeps an embedding's gradient in slices."""

    def scheduled(self, done: int, count: int, rate: float | None = None) -> np.ndarray:
        """What changes with the next `count` iterations, (count, 1 or 2): the learning rate, which
        may be given, and, of Nadam, the product of its schedule.
        """
        steps = range(done, done + count)
        rates = np.array([self.rates(before) if rate is None else rate for before in steps])
        if self.factors is None:
            return rates.reshape(-1, 1)
        return np.column_stack([rates, self.products(done + count)[done:]])

    def products(self, steps: int) -> np.ndarray:
        """Of Nadam: the product of its schedule up to each of the first steps."""
        updates, rest = np.divmod(np.arange(1.0, steps + 1), self.accumulated)
        factors = self.factors(updates) if self.factors else np.ones(steps)
        return np.where(rest == 0, factors, 1.0).cumprod()

    def state(self, weight: Weight) -> dict[str, float | None]:
        """The matrices kept for a weight, and what is in them at first (`Step.state`)."""
        extras = {
            "accumulated_gradients": self.accumulated > 1,
            "model_variables_moving_average": self.average is not None,
        }
        return {**self.step(weight).state, **{name: 0.0 for name, used in extras.items() if used}}


def optimizer_of(optimizer: Any) -> tuple[Optimizer | None, list[str]]:
    """The Optimizer for a Keras optimizer, or the complaints about it."""
    kind = backend.kind_of(optimizer)
    if kind not in STEPS:
        names = (kind.__name__ for kind in STEPS)
        choices = ", ".join(sorted(name for name in names if hasattr(keras.optimizers, name)))
        return None, [
            f"The optimizer is {kind.__name__}. Only {choices} are compiled: compile() the"
            " model with one of these."
        ]
    complaints = []
    if optimizer.loss_scale_factor not in (None, 1, 1.0):
        complaints.append(
            f"The optimizer {optimizer.name!r} has loss_scale_factor="
            f"{optimizer.loss_scale_factor!r}. SystemDS computes in float64: leave it out."
        )
    rate, plain = learning_rate_of(optimizer), (keras.Variable, LearningRateSchedule)
    if callable(rate) and not isinstance(rate, plain):
        complaints.append(
            f"The optimizer {optimizer.name!r} has a function as its learning_rate, which Keras"
            " calls when it traces a step, and cannot copy or save: give a number or a schedule."
        )
        return None, complaints
    step = STEPS[kind](optimizer)
    return Optimizer(
        step=partial(_alike, step) if isinstance(step, Step) else step,
        rates=_rates(optimizer),
        factors=step.factors if isinstance(step, Step) else None,
        decay=partial(_decay, optimizer, optimizer.weight_decay),
        factor=partial(_factor, optimizer),
        clipnorm=optimizer.clipnorm or None,
        clipvalue=optimizer.clipvalue or None,
        global_clipnorm=optimizer.global_clipnorm or None,
        accumulated=optimizer.gradient_accumulation_steps or 1,
        average=optimizer.ema_momentum if optimizer.use_ema else None,
        overwritten=(optimizer.ema_overwrite_frequency or 0) if optimizer.use_ema else 0,
        slices=backend.is_tensorflow(),
    ), complaints


def _alike(step: Step, weight: Weight) -> Step:
    """A step that is the same for all weights."""
    return step


def _decay(optimizer: Any, weight_decay: float | None, variable: Any) -> float:
    """The weight decay of a variable, 0 for none."""
    if not is_decayed(optimizer, variable):
        return 0.0
    muons = isinstance(optimizer, keras.optimizers.Muon)
    return rounded((muon_decay(optimizer, variable) if muons else weight_decay) or 0.0)


def _factor(optimizer: Any, variable: Any) -> float:
    """The factor of the learning rate for a variable."""
    if isinstance(optimizer, keras.optimizers.Muon) and is_trained_by_adam(optimizer, variable):
        return float(optimizer.adam_lr_ratio)
    return float(getattr(optimizer, "factor", lambda _: 1.0)(variable))


def _rates(optimizer: Any) -> Callable[[int], float]:
    """The learning rate by the number of steps done: the current number, or that of Keras'
    schedule.
    """
    rate = learning_rate_of(optimizer)
    if isinstance(rate, LearningRateSchedule):
        return lambda done: float(rate(done))
    number = float(rate)
    return lambda done: number


def _sgd(optimizer: Any) -> Step:
    if optimizer.momentum == 0:
        return Step("sgd")
    function = "sgd_nesterov" if optimizer.nesterov else "sgd_momentum"
    return Step(function, {"momentums": 0.0}, {"momentum": rounded(optimizer.momentum)})


def _betas(optimizer: Any) -> dict[str, float]:
    constants = {name: float(getattr(optimizer, name)) for name in ("beta_1", "beta_2", "epsilon")}
    return {**constants, **{f"bias_{n}": rounded(constants[f"beta_{n}"]) for n in (1, 2)}}


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
        "beta_1": rounded(optimizer.beta_1),
        "beta_2": rounded(optimizer.beta_2),
        "decay": rounded(0.96),
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
    constants = {name: rounded(getattr(optimizer, name)) for name in ("beta_1", "beta_2")}
    return Step("lion", {"momentums": 0.0}, constants)


def _lamb(optimizer: Any) -> Step:
    return Step("lamb", {"momentums": 0.0, "velocities": 0.0}, _betas(optimizer))


def _schedule_free(optimizer: Any) -> Step:
    """Its `momentums` are the iterate of which the weight is a mean, and should begin equal to
    it.
    """
    constants = {name: rounded(getattr(optimizer, name)) for name in ("beta_2", "epsilon")}
    constants["beta_1"], warmup = rounded(optimizer.beta_1), float(optimizer.warmup_steps)
    state = {"momentums": None, "velocities": 0.0}
    return Step("schedule_free_adamw", state, {**constants, "warmup": max(warmup, 0.0)})


STEPS: dict[type, Callable[[Any], Step | Callable[[Weight], Step]]] = {
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
    keras.optimizers.Lamb: _lamb,
    keras.optimizers.ScheduleFreeAdamW: _schedule_free,
    keras.optimizers.Adafactor: lambda optimizer: partial(adafactor, optimizer),
    keras.optimizers.Muon: lambda optimizer: partial(muon, optimizer),
}
