"""Caffe's solvers as Keras optimizers: a learning rate per iteration, with a factor per blob."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from keras2dml.objectives.optimizers import STEPS, Step

registered = keras.saving.register_keras_serializable("keras2dml.caffe")
POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")


@registered
class Policy(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of an iteration, numbered from 0, by Caffe's `lr_policy`."""

    def __init__(
        self,
        policy: str,
        base: float,
        gamma: float = 0.0,
        power: float = 0.0,
        step: int = 1,
        steps: tuple[int, ...] = (),
        last: int = 1,
        each: int = 1,
    ) -> None:
        """`step` and `steps` are Caffe's stepsize and stepvalue, `last` is max_iter. An iteration
        is `each` steps of the optimizer, whose gradients are accumulated.
        """
        self.policy, self.base, self.gamma, self.power = policy, base, gamma, power
        self.step, self.steps, self.last, self.each = step, tuple(steps), last, each

    def __call__(self, step: Any) -> Any:
        """The rate after this many steps."""
        done = ops.floor(ops.cast(step, "float64") / self.each)
        gamma, base = (
            ops.convert_to_tensor(number, "float64") for number in (self.gamma, self.base)
        )
        steps = [ops.cast(done >= value, "float64") for value in self.steps]
        rates: dict[str, Callable[[], Any]] = {
            "fixed": lambda: base,
            "step": lambda: base * gamma ** ops.floor(done / self.step),
            "exp": lambda: base * gamma**done,
            "inv": lambda: base * (1 + gamma * done) ** -self.power,
            "multistep": lambda: base * gamma ** sum(steps, 0 * base),
            "poly": lambda: base * (1 - done / self.last) ** self.power,
            "sigmoid": lambda: base / (1 + ops.exp(-gamma * (done - self.step))),
        }
        return rates[self.policy]()

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return dict(vars(self))


class _Multiplied(keras.optimizers.Optimizer):  # type: ignore[misc]
    """An optimizer with learning rate factors for variables, by path."""

    def __init__(self, factors: Mapping[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors)

    def factor(self, variable: Any) -> float:
        """The factor of a variable's learning rate."""
        return self.factors.get(variable.path, 1.0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable with its own learning rate."""
        super().update_step(gradient, variable, self.rate(variable, learning_rate))

    def rate(self, variable: Any, learning_rate: Any) -> Any:
        """The learning rate of a variable, which may be a TensorFlow variable during training."""
        trainable = self._trainable_variables[self._get_variable_index(variable)]
        return ops.cast(learning_rate, variable.dtype) * self.factor(trainable)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "factors": self.factors}


@registered
class SGD(_Multiplied, keras.optimizers.SGD):  # type: ignore[misc]
    """Keras' SGD, with momentum or Nesterov momentum."""


@registered
class Adam(_Multiplied, keras.optimizers.Adam):  # type: ignore[misc]
    """Keras' Adam."""


@registered
class AdaDelta(_Multiplied, keras.optimizers.Adadelta):  # type: ignore[misc]
    """Keras' Adadelta."""


@registered
class AdaGrad(_Multiplied, keras.optimizers.Adagrad):  # type: ignore[misc]
    """Adagrad with epsilon outside of the square root, which in Keras is inside."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable."""
        rate = self.rate(variable, learning_rate)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        accumulator.assign(accumulator + ops.square(gradient))
        variable.assign(variable - rate * gradient / (ops.sqrt(accumulator) + self.epsilon))


@registered
class RMSProp(_Multiplied, keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop with epsilon outside of the square root, which in Keras is inside."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable."""
        rate = self.rate(variable, learning_rate)
        average = self._velocities[self._get_variable_index(variable)]
        average.assign(self.rho * average + (1 - self.rho) * ops.square(gradient))
        variable.assign(variable - rate * gradient / (ops.sqrt(average) + self.epsilon))


def _adagrad(optimizer: AdaGrad) -> Step:
    return Step("caffe_adagrad", {"accumulators": 0.0}, {"epsilon": float(optimizer.epsilon)})


def _rmsprop(optimizer: RMSProp) -> Step:
    constants = {"rho": float(optimizer.rho), "epsilon": float(optimizer.epsilon)}
    return Step("caffe_rmsprop", {"velocities": 0.0}, constants)


for kind in (SGD, Adam, AdaDelta):
    STEPS[kind] = STEPS[kind.__bases__[1]]
STEPS[AdaGrad], STEPS[RMSProp] = _adagrad, _rmsprop
