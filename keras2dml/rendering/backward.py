"""The backward pass of a graph as DML statements: from gradients of outputs to those of weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from keras2dml.dml import syntax
from keras2dml.graph import IDENTITY, PENALTY, Call, Graph, Parameter, Value, source_of
from keras2dml.rendering.forward import Forward
from keras2dml.rendering.slices import Slices


class Backward:
    """The statements that propagate gradients back to all trainable weights and to `inputs`, and no
    further.

    `add` enters a known gradient; `run` then writes the statements. The gradient of the parameter W
    is in the variable `d_W`, and `of` returns the variable for that of an input.
    """

    def __init__(
        self, forward: Forward, slices: Slices | None = None, inputs: Iterable[Value] = ()
    ) -> None:
        self.forward, self.slices = forward, slices
        self.used: list[str] = []
        self.lines: list[str] = []
        self._summands: dict[str, list[str]] = defaultdict(list)
        self._needed = needed(forward.graph, inputs)
        self.penalized: set[str] = set()
        """The parameters whose weights have a penalty, whatever they influence."""

    @property
    def trained(self) -> list[Parameter]:
        """The parameters that get a gradient."""
        parameters = self.forward.graph.parameters
        return [parameter for parameter in parameters if self._summands[parameter.name]]

    def add(self, value: Value) -> str:
        """A variable for another gradient of `value`, which the caller assigns."""
        return self.variable(self.forward[value])

    def variable(self, variable: str) -> str:
        """A variable for another gradient of a variable of the script."""
        return self._gradient(variable, "loss")

    def of(self, value: Value) -> str:
        """The variable with the gradient of an input, after `run`."""
        variable = self.forward[value]
        return self._sum(variable) or _zeros(variable)

    def add_share(self, variable: str, share: str) -> None:
        """Add `share` to the gradient of `variable`: the loss contains `variable` times `share`."""
        self._summands[variable].append(share)

    def run(self) -> None:
        """Write the statements for all calls that have a gradient."""
        for call in reversed(self.forward.graph.calls):
            if self.forward.function(call) != IDENTITY and not call.constant:
                self._append(call)
        for parameter in self.forward.graph.parameters:
            if parameter.name in self.penalized and not self._summands[parameter.name]:
                zeros = _zeros(parameter.name)
                self.lines.append(f"{self._gradient(parameter.name, 'loss')} = {zeros}")
        for parameter in self.trained:
            moments = self.slices.moments if self.slices else ()
            for name in ("", *(f"_{moment}" for moment in moments)):
                variable = f"{parameter.name}{name}"
                if len(self._summands[variable]) > 1:
                    self.lines.append(f"d_{variable} = {self._sum(variable)}")

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
        if not (inputs or trained) or not any(self._summands[result] for result in results):
            return
        gradients = {
            f"d{result}": self._sum(name) if self._summands[name] else _zeros(name)
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
            self._gradient(targets[result], name) if result in targets else f"unused_{result}"
            for result in syntax.function(function).results
        ]
        self.used.append(function)
        arguments = {**self.forward.arguments(call), **gradients}
        self.lines.append(syntax.call(function, results, arguments))

    def _gradient(self, variable: str, by: str) -> str:
        """A variable for another gradient of `variable`."""
        summands = self._summands[variable]
        name = f"d_{variable}_by_{by}" if summands else f"d_{variable}"
        if name in summands:  # a call, or several losses, may take a value more than once
            name = f"{name}_{len(summands)}"
        summands.append(name)
        return name

    def _sum(self, variable: str) -> str:
        return " + ".join(self._summands[variable])


def _zeros(variable: str) -> str:
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
