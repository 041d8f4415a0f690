"""The backward pass of a graph as DML statements: from gradients of outputs to those of weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from keras2dml.dml import syntax
from keras2dml.graph import IDENTITY, PENALTY, Call, Graph, Parameter, Value, source_of
from keras2dml.rendering.forward import Forward
from keras2dml.rendering.slices import Slices


@dataclass(frozen=True)
class Summand:
    """What a loss adds to the gradient of a variable of the script: a variable that is bound when
    the backward pass begins, or an expression.
    """

    variable: str
    gradient: str


@dataclass(frozen=True, eq=False)
class Backward:
    """The statements that take gradients back to every trainable weight and to chosen inputs, and
    no further. The gradient of the parameter W is in the variable `d_W`.
    """

    lines: tuple[str, ...]
    trained: tuple[Parameter, ...]
    """The parameters that get a gradient."""
    sums: Mapping[str, str]
    """The gradient of each variable of the forward pass that has one, an expression."""

    @classmethod
    def of(
        cls,
        forward: Forward,
        summands: Iterable[Summand],
        slices: Slices | None = None,
        *,
        penalized: Collection[str] = (),
        inputs: Iterable[Value] = (),
    ) -> Backward:
        """The pass back from these `summands`. The weights of `penalized` parameters cost
        something, whatever they have an influence on.
        """
        walk = _Pass(forward, slices, inputs)
        for summand in summands:
            walk.summands[summand.variable].append(summand.gradient)
        walk.run(penalized)
        parameters = forward.graph.parameters
        trained = tuple(parameter for parameter in parameters if walk.summands[parameter.name])
        sums = {variable: walk.sum(variable) for variable, added in walk.summands.items() if added}
        return cls(tuple(walk.lines), trained, sums)

    def gradient(self, variable: str) -> str:
        """The gradient of a variable, zeros where it has none."""
        return self.sums.get(variable, zeros(variable))


class _Pass:
    """The statements so far, and what has been added to each gradient."""

    def __init__(self, forward: Forward, slices: Slices | None, inputs: Iterable[Value]) -> None:
        self.forward, self.slices = forward, slices
        self.lines: list[str] = []
        self.summands: dict[str, list[str]] = defaultdict(list)
        self._needed = needed(forward.graph, inputs)

    def run(self, penalized: Collection[str]) -> None:
        """Write the statements for all calls that have a gradient."""
        graph = self.forward.graph
        for call in reversed(graph.calls):
            if self.forward.function(call) != IDENTITY and not call.constant:
                self._append(call)
        for parameter in graph.parameters:
            if parameter.name in penalized and not self.summands[parameter.name]:
                gradient = self._add(parameter.name, "loss")
                self.lines.append(f"{gradient} = {zeros(parameter.name)}")
        moments = self.slices.moments if self.slices else ()
        for parameter in graph.parameters:
            for name in ("", *(f"_{moment}" for moment in moments)):
                variable = f"{parameter.name}{name}"
                if self.summands[parameter.name] and len(self.summands[variable]) > 1:
                    self.lines.append(f"d_{variable} = {self.sum(variable)}")

    def _append(self, call: Call) -> None:
        forward, function = self.forward, self.forward.function(call)
        results = forward.results(call)
        inputs = {
            f"d{name}": forward[value]
            for name, value in zip(call.arguments, call.inputs, strict=False)
            if source_of(value) in self._needed
        }
        trained = {
            f"d{weight.argument}": forward.graph.names[weight]
            for weight in call.weights
            if forward.graph.names[weight] in forward.graph.trained
        }
        if not (inputs or trained) or not any(self.summands[result] for result in results):
            return
        gradients = {
            f"d{result}": self.sum(name) if self.summands[name] else zeros(name)
            for result, name in zip(forward.target(call).results, results, strict=True)
        }
        gradients["dout"] = gradients[f"d{forward.target(call).results[0]}"]
        separate = f"{function}_gradients" in syntax.library()
        if separate and trained:
            self._weights(function, call, gradients, trained)
        if inputs or not separate:
            self._call(f"{function}_backward", call, gradients, {**inputs, **trained})

    def _weights(
        self, function: str, call: Call, gradients: dict[str, str], trained: dict[str, str]
    ) -> None:
        """Append the gradients of a call's weights, and the moments of those in slices."""
        slices = self.slices
        sliced = [*slices.weights.intersection(trained.values())] if slices else []
        if slices and sliced:
            gradients = {**gradients, "dout": slices.clipped(gradients["dout"])}
        self._call(f"{function}_gradients", call, gradients, trained)
        for weight in sliced:
            for moment in slices.moments if slices else ():
                targets = {"sums": f"{weight}_{moment}"}
                self._call(f"{function}_{moment}", call, gradients, targets)

    def _call(
        self, function: str, call: Call, gradients: dict[str, str], targets: dict[str, str]
    ) -> None:
        name = self.forward.graph.names[call]
        results = [
            self._add(targets[result], name) if result in targets else f"unused_{result}"
            for result in syntax.function(function).results
        ]
        arguments = {**self.forward.arguments(call), **gradients}
        self.lines.append(syntax.call(function, results, arguments))

    def _add(self, variable: str, by: str) -> str:
        """A variable for another gradient of `variable`."""
        name = gradient_name(variable, by, self.summands[variable])
        self.summands[variable].append(name)
        return name

    def sum(self, variable: str) -> str:
        """The gradient of a variable so far."""
        return " + ".join(self.summands[variable])


def gradient_name(variable: str, by: str, names: Collection[str]) -> str:
    """The variable for one more gradient of `variable`, beside those of these names."""
    name = f"d_{variable}_by_{by}" if names else f"d_{variable}"
    # a call, or several losses, may take a value more than once
    return f"{name}_{len(names)}" if name in names else name


def zeros(variable: str) -> str:
    """Zeros of the size of a variable."""
    return f"matrix(0, rows=nrow({variable}), cols=ncol({variable}))"


def needed(graph: Graph, inputs: Iterable[Value]) -> set[Call]:
    """The calls whose results depend on a trainable weight or on one of `inputs`: only they need a
    gradient.
    """
    calls = {source_of(value) for value in inputs}
    for call in graph.calls:
        trained = any(graph.names[weight] in graph.trained for weight in call.weights)
        takes = any(source_of(value) in calls for value in call.inputs)
        if (trained or takes) and not call.constant:
            calls.add(call)
    return calls


def unlearned(graph: Graph, losses: Iterable[Value]) -> Iterator[str]:
    """The reason why Keras trains no weight of a model, if that is so."""
    calls = needed(graph, ())
    behind = any(source_of(value) in calls for value in losses)
    costs = any(
        parameter.weight.variable.regularizer
        for parameter in graph.parameters
        if parameter.trainable
    )
    costs = costs or any(call.training == PENALTY and call in calls for call in graph.calls)
    if not (behind or costs) and graph.trained:
        yield (
            "No loss has a gradient for any weight, because of an operation without a gradient,"
            " such as round or stop_gradient, in between. Keras trains no such model: put it"
            " elsewhere."
        )
