"""Gradients that TensorFlow keeps in slices: one slice for each number that an Embedding looks up.

For these Keras' optimizers add up the squares, or absolute values, of the slices; for all other
gradients they use those of the sum. The results differ for a number that is looked up twice in a
batch. On its other backends Keras has a single gradient of the whole table.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras2dml.dml import syntax
from keras2dml.graph import Graph

if TYPE_CHECKING:  # scoring needs no Keras
    from keras2dml.objectives.optimizers import Optimizer

MOMENTS = {"squares": "{} ^ 2", "sizes": "abs({})"}
"""The moments of slices that optimizers use, with their expressions for a dense gradient."""


@dataclass(frozen=True)
class Slices:
    """Which weights of a graph have gradients in slices, and which moments of them are needed.

    A gradient is whole where something else is added to it: that of a penalty, of another layer
    that uses the weight, of the iterations before. `limit` is for the numbers of each slice, and
    `by_all` says that gradients are clipped by the norm of all of them.
    """

    weights: frozenset[str]
    moments: tuple[str, ...]
    limit: float | None
    by_all: bool

    @classmethod
    def of(cls, graph: Graph, optimizer: Optimizer, penalized: Container[str]) -> Slices:
        """Those of an optimizer's gradients; the weights that are `penalized` have whole ones."""
        whole = {
            graph.names[weight]
            for call in graph.calls
            for weight in call.weights
            if not has_slices(call.training or call.function)
        }
        has_any = optimizer.slices and optimizer.accumulated == 1
        weights = frozenset(
            name for name in graph.trained - whole if has_any and name not in penalized
        )
        updates = (
            syntax.function(f"{optimizer.step(parameter.weight).function}_update")
            for parameter in graph.parameters
            if parameter.name in weights
        )
        takes = {argument for update in updates for argument in update.arguments}
        by_all = bool(optimizer.global_clipnorm and not optimizer.clipnorm)
        for_norm = ("squares",) if optimizer.clipnorm or optimizer.global_clipnorm else ()
        for_step = () if by_all else (name for name in MOMENTS if name in takes)
        moments = tuple(dict.fromkeys([*for_norm, *for_step]))
        return cls(weights, moments, None if for_norm else optimizer.clipvalue, by_all)

    def clipped(self, gradient: str) -> str:
        """A gradient whose slices are clipped to the limit."""
        if self.limit is None:
            return gradient
        limit = syntax.literal(self.limit)
        return f"min(max({gradient}, -{limit}), {limit})"

    def variables(self, weight: str) -> list[str]:
        """The variables with moments summed over the slices of a weight's gradient."""
        if weight not in self.weights:
            return []
        return [moment_of(weight, name) for name in self.moments]

    def squares(self, weight: str) -> str:
        """The expression summed for the norm of a weight's gradient before clipping."""
        if weight in self.weights:
            return moment_of(weight, "squares")
        return MOMENTS["squares"].format(f"d_{weight}")

    def clipped_by_norm(self, weight: str, limit: str) -> Iterator[str]:
        """The statements that clip the norm of all slices of a weight's gradient."""
        yield f"share = {limit} / max(sqrt(sum({moment_of(weight, 'squares')})), {limit})"
        yield f"d_{weight} = d_{weight} * share"
        for name in self.moments:
            variable, power = moment_of(weight, name), " ^ 2" * (name == "squares")
            yield f"{variable} = {variable} * share{power}"

    def arguments(self, weight: str) -> dict[str, str]:
        """The arguments of an update besides the gradient of a weight: its moments.

        Clipping by the global norm makes gradients in slices dense.
        """
        if weight in self.weights and not self.by_all:
            return {name: moment_of(weight, name) for name in self.moments}
        return {name: text.format(f"d_{weight}") for name, text in MOMENTS.items()}


def moment_of(weight: str, moment: str) -> str:
    """The variable with a moment summed over the slices of a weight's gradient."""
    return f"d_{weight}_{moment}"


def has_slices(function: str) -> bool:
    """Whether a function's gradients of its weights are in slices."""
    return f"{function}_squares" in syntax.library()
