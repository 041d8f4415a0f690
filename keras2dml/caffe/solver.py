"""A solver file: the optimizer that it describes, and how long it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras2dml.caffe import optimizers, schema
from keras2dml.errors import InvalidData

KINDS = {
    "SGD": optimizers.SGD,
    "Nesterov": optimizers.SGD,
    "Adam": optimizers.Adam,
    "AdaGrad": optimizers.AdaGrad,
    "RMSProp": optimizers.RMSProp,
    "AdaDelta": optimizers.AdaDelta,
}


@dataclass(frozen=True)
class Solver:
    """The message of a solver file, with what is wrong in it."""

    path: Path
    message: Any

    @classmethod
    def read(cls, path: Path) -> Solver:
        """The solver in a text file. Raises InvalidData."""
        return cls(path, schema.parsed(path, "Solver"))

    @property
    def net(self) -> Path:
        """The network's file: relative to the solver's, or to the working directory as in Caffe."""
        name = self.message.net or self.message.train_net
        if not name:
            told = f'{self.path} names no net: add net: "network.prototxt".'
            raise InvalidData(told)
        beside = self.path.parent / name
        return beside if beside.exists() or not Path(name).exists() else Path(name)

    @property
    def test_iter(self) -> int:
        """The batches that are kept for tests."""
        return int(self.message.test_iter[0]) if len(self.message.test_iter) else 0

    def complaints(self) -> list[str]:
        """What cannot be done as Caffe does it."""
        own, found = self.message, []
        if own.type not in KINDS:
            found.append(f"The solver's type is {own.type!r}: use one of {', '.join(KINDS)}.")
        if own.lr_policy not in optimizers.POLICIES:
            known = ", ".join(optimizers.POLICIES)
            found.append(f"The solver's lr_policy is {own.lr_policy!r}: use one of {known}.")
        if own.regularization_type not in ("L1", "L2"):
            found.append(
                f"The solver's regularization_type is {own.regularization_type!r}: use L1 or L2."
            )
        if own.clip_gradients > 0 and own.weight_decay:
            found.append(
                "The solver has clip_gradients and weight_decay. Caffe clips before it decays,"
                " Keras after: leave one of them out."
            )
        if own.momentum and own.type in ("AdaGrad", "RMSProp"):
            found.append(f"The solver has momentum, which {own.type} does not use: leave it out.")
        return found

    @property
    def decay(self) -> Callable[[float], Any]:
        """The regularizer of a blob with such a decay_mult."""
        strength, kind = self.message.weight_decay, self.message.regularization_type

        def regularizer(multiplier: float) -> Any:
            if not strength * multiplier:
                return None
            if kind == "L1":
                return keras.regularizers.L1(strength * multiplier)
            return keras.regularizers.L2(strength * multiplier / 2)

        return regularizer

    def optimizer(self, factors: Mapping[str, float]) -> Any:
        """The optimizer, with the lr_mult of variables by path."""
        own = self.message
        kind: Any = KINDS[own.type]
        rate = optimizers.Policy(
            own.lr_policy,
            own.base_lr,
            own.gamma,
            own.power,
            max(own.stepsize, 1),
            tuple(own.stepvalue),
            max(own.max_iter, 1),
            max(own.iter_size, 1),
        )
        arguments: dict[str, Any] = {
            optimizers.SGD: {"momentum": own.momentum, "nesterov": own.type == "Nesterov"},
            optimizers.Adam: {
                "beta_1": own.momentum,
                "beta_2": own.momentum2,
                "epsilon": own.delta,
            },
            optimizers.AdaGrad: {"initial_accumulator_value": 0.0, "epsilon": own.delta},
            optimizers.RMSProp: {"rho": own.rms_decay, "epsilon": own.delta},
            optimizers.AdaDelta: {"rho": own.momentum, "epsilon": own.delta},
        }[kind]
        return kind(
            factors,
            learning_rate=rate,
            global_clipnorm=own.clip_gradients if own.clip_gradients > 0 else None,
            gradient_accumulation_steps=own.iter_size if own.iter_size > 1 else None,
            **arguments,
        )
