"""The forward pass as DML statements, for scoring and training scripts."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Statement:
    """A statement of a batch, or one that runs `once` a script."""

    text: str
    once: bool = False


@dataclass(frozen=True)
class Forward:
    """The forward pass of a graph as DML statements, each call's in turn.

    `setup` are those that run once a script, `lines` those of a batch. `forward[value]` names what
    they bind.
    """

    graph: Graph
    training: bool
    measuring: bool = False
    """Whether losses are measured without training."""
    split: bool = False
    """Whether the rows are one `part` of a batch that has several."""
    statements: tuple[Statement, ...] = ()

    @classmethod
    def of(
        cls, graph: Graph, *, training: bool, measuring: bool = False, split: bool = False
    ) -> Forward:
        """The statements from the rows of each `batch(input)` to the model's outputs."""
        forward = cls(graph, training, measuring, split)
        calls = [call for call in graph.calls if forward.function(call) != IDENTITY]
        bounded = forward._bounded(calls)
        drawing = [call for call in calls if "seed" in forward.target(call).arguments]
        step = "(iteration * parts + part)" if split else "iteration"
        statements: list[Statement] = []
        for call in calls:
            place = drawing.index(call) if call in drawing else 0
            seed = f"seed + {step} * {len(drawing)} + {place}"
            statements += [*forward._prepared(call), *forward._called(call, seed, bounded)]
        return replace(forward, statements=tuple(statements))

    @property
    def calls(self) -> list[str]:
        """All statements, in the order of the calls that they belong to."""
        return [statement.text for statement in self.statements]

    @property
    def setup(self) -> list[str]:
        """The statements that run once a script."""
        return [statement.text for statement in self.statements if statement.once]

    @property
    def lines(self) -> list[str]:
        """The statements of a batch."""
        return [statement.text for statement in self.statements if not statement.once]

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

    def _prepared(self, call: Call) -> Iterator[Statement]:
        """What makes of a call's constants what the call takes."""
        for constant in call.constants:
            if constant.prepared is not None:
                name = self.graph.names[constant]
                sizes = {size: syntax.literal(value) for size, value in constant.sizes.items()}
                text = syntax.call(constant.prepared, [name], {"cells": name, **sizes})
                yield Statement(text, once=True)

    def _called(self, call: Call, seed: str, bounded: Container[str]) -> Iterator[Statement]:
        arguments = {**self.arguments(call), "seed": seed}
        results = self.results(call)
        yield Statement(syntax.call(self.target(call).name, results, arguments))
        if results[0] in bounded:
            yield Statement(f"{results[0]} = {results[0]} + 0")

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
