"""The forward pass as DML statements, for scoring and training scripts."""

from __future__ import annotations

from dataclasses import dataclass, field

from keras2dml.dml import syntax
from keras2dml.graph import IDENTITY, INPUT, PENALTY, Call, Graph, Value, source_of


@dataclass(frozen=True)
class Script:
    """A DML script with the names of its inputs and outputs; `single` if it may compute products in
    float32.
    """

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    single: bool = False


@dataclass
class Forward:
    """The forward pass of a graph as DML statements.

    `setup` has the statements that run once in a script, `lines` those of a batch, and `used` the
    functions of both. `forward[value]` is the variable of a value.
    """

    graph: Graph
    training: bool
    measuring: bool = False
    """Whether losses are measured without training."""
    split: bool = False
    """Whether the rows are one `part` of a batch that has several."""
    used: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    bounded: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls, graph: Graph, *, training: bool, measuring: bool = False, split: bool = False
    ) -> Forward:
        """The statements from the rows of each `batch(input)` to the model's outputs."""
        forward = cls(graph, training, measuring, split)
        calls = [call for call in graph.calls if forward.function(call) != IDENTITY]
        forward.bounded = forward._bounded(calls)
        drawing = [call for call in calls if "seed" in forward.target(call).arguments]
        step = "(iteration * parts + part)" if split else "iteration"
        for call in calls:
            place = drawing.index(call) if call in drawing else 0
            forward._append(call, f"seed + {step} * {len(drawing)} + {place}")
        return forward

    def function(self, call: Call) -> str:
        """The name of the function that a call runs here."""
        if self.training or (self.measuring and call.training == PENALTY):
            return call.training or call.function
        return call.function

    def target(self, call: Call) -> syntax.Function:
        """The library function of a call's forward pass."""
        return syntax.function(f"{self.function(call)}_forward")

    def batch(self, value: Value) -> str:
        """The variable with the rows of an input."""
        return f"{self.graph.input_name(value)}_batch"

    def results(self, call: Call) -> list[str]:
        """The variables for the forward function's results; a result with the name of a weight is
        its new value.
        """
        weights = {weight.argument: self.graph.names[weight] for weight in call.weights}
        name = self.graph.names[call]
        others = self.target(call).results[1:]
        return [name, *(weights.get(other, f"{name}_{other}") for other in others)]

    def arguments(self, call: Call) -> dict[str, str]:
        """All possible arguments for the functions of a call, by parameter name."""
        names, results = self.graph.names, self.target(call).results
        return {
            **dict(zip(call.arguments, (self[value] for value in call.inputs), strict=False)),
            **dict(zip(results, self.results(call), strict=True)),
            "out": names[call],
            **{weight.argument: names[weight] for weight in call.weights},
            **{constant.argument: names[constant] for constant in call.constants},
            **{size: syntax.literal(value) for size, value in call.sizes.items()},
        }

    def __getitem__(self, value: Value) -> str:
        """The variable that holds `value`."""
        source = source_of(value)
        if source.function == INPUT:
            return self.batch(value)
        if self.function(source) == IDENTITY:
            return self[source.inputs[0]]
        name = self.graph.names[source]
        return name if value.result == "out" else f"{name}_{value.result}"

    def _append(self, call: Call, seed: str) -> None:
        for constant in call.constants:
            if constant.prepared is not None:
                name = self.graph.names[constant]
                sizes = {size: syntax.literal(value) for size, value in constant.sizes.items()}
                self.used.append(constant.prepared)
                self.setup.append(syntax.call(constant.prepared, [name], {"cells": name, **sizes}))
        function = self.target(call)
        self.used.append(function.name)
        arguments = {**self.arguments(call), "seed": seed}
        results = self.results(call)
        self.lines.append(syntax.call(function.name, results, arguments))
        if results[0] in self.bounded:
            self.lines.append(f"{results[0]} = {results[0]} + 0")

    def _bounded(self, calls: list[Call]) -> set[str]:
        """The results of functions with a maximum or minimum that another such function, or a
        pooling, takes.

        SystemDS folds two of them into one over several matrices, which is wrong for sparse ones;
        and it fuses one with the gradient of a max-pooling, whose rows are then not sorted.
        """
        names = {call: self.target(call).name for call in calls}
        makes, takes = (
            {name for name in {*names.values()} if asked(name)}
            for asked in (syntax.makes_extremes, syntax.takes_extremes)
        )
        bounds = [call for call in calls if names[call] in makes]
        operands = {self[value] for call in calls if names[call] in takes for value in call.inputs}
        if self.training or self.measuring:  # losses and metrics have extremes
            operands |= {self[value] for value in self.graph.outputs}
        return operands & {self.graph.names[call] for call in bounds}


def described(graph: Graph) -> list[str]:
    """Comment lines that describe the inputs, weights and constants of a script."""
    lines = []
    for value in graph.inputs:
        stored = value.stored
        order = f", each an example of {syntax.shape(stored)} in row-major order"
        lines.append(
            f"{graph.input_name(value)} (N x {value.size}): rows of features"
            f"{order if len(stored) > 1 else ''}"
        )
    weights = [
        f"  {parameter.name} ({syntax.shape(parameter.weight.matrix)})"
        for parameter in graph.parameters
    ]
    constants = [
        f"  {name} ({syntax.shape(constant.matrix.shape)})" for name, constant in graph.constants()
    ]
    if constants:
        constants.insert(0, "constants:")
    return [*lines, "weights:", *weights, *constants]
