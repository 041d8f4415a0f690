"""A solver file: the networks, the optimizer and the length of training that it describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras2dml.caffe import optimizers, phases, schema, upgrades
from keras2dml.caffe.phases import Networks
from keras2dml.errors import InvalidData

KINDS = {
    "SGD": optimizers.SGD,
    "Nesterov": optimizers.SGD,
    "Adam": optimizers.Adam,
    "AdaGrad": optimizers.AdaGrad,
    "RMSProp": optimizers.RMSProp,
    "AdaDelta": optimizers.AdaDelta,
}
NETS = ("net", "net_param", "train_net", "train_net_param")
"""The fields for a solver's network: the name of a file, or the network itself."""


@dataclass(frozen=True)
class Solver:
    """The message of a solver file, with complaints about unknown fields."""

    path: Path
    message: Any
    complaints: list[str]

    @classmethod
    def read(cls, path: Path) -> Solver:
        """The solver in a text file. Raises InvalidData."""
        message, complaints = schema.parsed(path, "Solver")
        return cls(path, message, complaints)

    @property
    def type(self) -> str:
        """The name of the solver type, which may be given by its old number."""
        by_number = self.message.HasField("solver_type")
        return str(upgrades.SOLVERS[self.message.solver_type] if by_number else self.message.type)

    def networks(self) -> Networks:
        """The networks. Raises InvalidData unless there is exactly one for training."""
        message = self.message
        sources = [name for name in NETS if message.HasField(name)]
        if len(sources) != 1:
            reason = (
                f"{self.path} has {' and '.join(sources) or 'no net'}: give a solver's file with"
                ' one network, as net: "network.prototxt".'
            )
            raise InvalidData(reason)
        name, net, complaints = self._net(sources[0])
        state = phases.state(phases.TRAIN, net.state, message.train_state)
        tested = [
            phases.state(phases.TEST, net.state, test_state) for test_state in message.test_state
        ]
        tests = [
            phases.layers_in(net, test_state)
            for test_state in tested or [phases.state(phases.TEST, net.state)]
            if sources[0] in ("net", "net_param")
        ]
        for test in self._test_nets():
            tests.append(phases.layers_in(test, phases.state(phases.TEST, test.state)))
        return Networks(net.name or name, phases.layers_in(net, state), tests, complaints)

    @property
    def weights(self) -> list[Path]:
        """The files with initial weights."""
        names = (name for listed in self.message.weights for name in listed.split(","))
        return [self._beside(name.strip()) for name in names if name.strip()]

    @property
    def test_iter(self) -> int:
        """The number of test batches: the smallest number of several tests."""
        return min(self.message.test_iter, default=0)

    def _net(self, source: str) -> tuple[str, Any, list[str]]:
        """The name, the upgraded message and complaints of a network."""
        complaints: list[str] = []
        value, name = getattr(self.message, source), self.path.name
        if isinstance(value, str):
            path = self._beside(value)
            value, complaints = schema.parsed(path, "Net")
            name = path.name
        net, older = upgrades.upgraded(value)
        refused = [
            f"The network has {field}, which is not compiled: leave it out."
            for field in schema.refused(net)
            if not field.startswith("layer.")
        ]
        return name, net, [*complaints, *older, *refused]

    def _test_nets(self) -> Iterator[Any]:
        """The separate test networks; skips files that do not exist."""
        for name in self.message.test_net:
            if self._beside(name).exists():
                yield upgrades.upgraded(schema.parsed(self._beside(name), "Net").message)[0]
        for net in self.message.test_net_param:
            yield upgrades.upgraded(net)[0]

    def _beside(self, name: str) -> Path:
        """The path of a file, relative to the solver's file or, as in Caffe, to the working
        directory.
        """
        beside = self.path.parent / name
        return beside if beside.exists() or not Path(name).exists() else Path(name)

    def refusals(self) -> list[str]:
        """Complaints about settings that cannot be reproduced exactly."""
        message, complaints = self.message, [*self.complaints]
        if message.HasField("solver_type") and message.HasField("type"):
            complaints.append("The solver has a type and the old solver_type: remove one of them.")
        if self.type not in KINDS:
            complaints.append(f"The solver's type is {self.type!r}: use one of {', '.join(KINDS)}.")
        if message.lr_policy not in optimizers.POLICIES:
            policies = ", ".join(optimizers.POLICIES)
            complaints.append(
                f"The solver's lr_policy is {message.lr_policy!r}: use one of {policies}."
            )
        if message.regularization_type not in ("L1", "L2"):
            complaints.append(
                f"The solver's regularization_type is {message.regularization_type!r}: use L1"
                " or L2."
            )
        if message.clip_gradients > 0 and message.weight_decay:
            complaints.append(
                "The solver has clip_gradients and weight_decay. Caffe clips before weight decay,"
                " Keras after it: remove one of them."
            )
        if message.momentum and self.type in ("AdaGrad", "RMSProp"):
            complaints.append(
                f"The solver has momentum, which {self.type} does not use: leave it out."
            )
        return complaints

    @property
    def decay(self) -> Callable[[float], Any]:
        """Returns the regularizer of a blob by its decay_mult."""
        strength, kind = self.message.weight_decay, self.message.regularization_type

        def regularizer(multiplier: float) -> Any:
            if not strength * multiplier:
                return None
            if kind == "L1":
                return keras.regularizers.L1(strength * multiplier)
            return keras.regularizers.L2(strength * multiplier / 2)

        return regularizer

    def optimizer(self, factors: Mapping[str, float]) -> Any:
        """The optimizer, with the learning rate factors of variables by path."""
        message = self.message
        kind: Any = KINDS[self.type]
        rate = optimizers.Policy(
            message.lr_policy,
            message.base_lr,
            message.gamma,
            message.power,
            max(message.stepsize, 1),
            tuple(message.stepvalue),
            max(message.max_iter, 1),
            max(message.iter_size, 1),
        )
        # Caffe clips the sum of the gradients of an iteration's batches, Keras their mean.
        limit = message.clip_gradients / max(message.iter_size, 1)
        arguments: dict[str, Any] = {
            optimizers.SGD: {"momentum": message.momentum, "nesterov": self.type == "Nesterov"},
            optimizers.Adam: {
                "beta_1": message.momentum,
                "beta_2": message.momentum2,
                "epsilon": message.delta,
            },
            optimizers.AdaGrad: {"initial_accumulator_value": 0.0, "epsilon": message.delta},
            optimizers.RMSProp: {"rho": message.rms_decay, "epsilon": message.delta},
            optimizers.AdaDelta: {"rho": message.momentum, "epsilon": message.delta},
        }[kind]
        return kind(
            factors,
            learning_rate=rate,
            global_clipnorm=limit if limit > 0 else None,
            gradient_accumulation_steps=message.iter_size if message.iter_size > 1 else None,
            **arguments,
        )
