"""What the scoring and the training script share: the statements of the forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from keras2dml import dml
from keras2dml.graph import Call, Graph, Value


@dataclass(frozen=True)
class Script:
    """A DML script with the names of what it reads and of what it leaves behind."""

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass
class Forward:
    """The forward pass of a graph as DML statements; `variables` tells which variable holds which
    value.
    """

    graph: Graph
    training: bool
    variables: dict[int, str] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Graph, batch: str, *, training: bool) -> Forward:
        """The statements that take the rows of the variable `batch` to the model's output."""
        forward = cls(graph, training, {id(graph.input): batch})
        seeded = [call for call in graph.calls if call.training_only]
        for call in graph.calls:
            if call.function == "identity" or (call.training_only and not training):
                forward.variables[id(call.output)] = forward.variables[id(call.inputs[0])]
            else:
                forward._append(
                    call,
                    f"seed + iteration * {len(seeded)} +"
                    f" {seeded.index(call) if call in seeded else 0}",
                )
        return forward

    def _append(self, call: Call, seed: str) -> None:
        name = f"{call.function}_forward"
        function = dml.function(name)
        self.variables[id(call.output)] = call.output.name
        kept = [f"{call.output.name}_{result}" for result in function.results[1:]]
        self.used.append(name)
        self.lines.append(
            dml.call(name, [call.output.name, *kept], {**self.arguments(call), "seed": seed})
        )

    def arguments(self, call: Call) -> dict[str, str]:
        """What the functions of a call may take, by the names that the library gives it."""
        kept = dml.function(f"{call.function}_forward").results[1:]
        return {
            "X": self[call.inputs[0]],
            "out": self[call.output] if id(call.output) in self.variables else call.output.name,
            **{result: f"{call.output.name}_{result}" for result in kept},
            **{weight.argument: weight.name for weight in call.weights},
            **{size: dml.literal(value) for size, value in call.sizes.items()},
        }

    def __getitem__(self, value: Value) -> str:
        """The variable that holds `value`."""
        return self.variables[id(value)]


def described(graph: Graph) -> list[str]:
    """The comment that tells what goes in and what comes out."""
    weights = [f"  {weight.name} ({dml.shape(weight.matrix)})" for weight in graph.weights()]
    stored = graph.input.stored
    order = (
        f", each an example of {dml.shape(stored)} in row-major order" if len(stored) > 1 else ""
    )
    return [f"X (N x {graph.input.size}): rows of features{order}", "weights:", *weights]
