"""One step of learning, which both training scripts have: from a batch to changed weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keras2dml.dml import syntax
from keras2dml.graph import IDENTITY, Graph
from keras2dml.objectives.objective import Objective
from keras2dml.objectives.optimizers import Optimizer
from keras2dml.objectives.regularizers import Constraint
from keras2dml.rendering.backward import Backward
from keras2dml.rendering.forward import Forward, Script, described
from keras2dml.rendering.slices import Slices
from keras2dml.scripts.measuring import Measures
from keras2dml.scripts.score import IN_ORDER, inputs
from keras2dml.scripts.updates import Updates


@dataclass(frozen=True, eq=False)
class LearningStep:
    """The passes of a step, each a value: forward, losses, backward, and the optimizer's update."""

    objective: Objective
    optimizer: Optimizer
    forward: Forward
    measures: Measures
    backward: Backward
    updates: Updates

    @classmethod
    def of(
        cls,
        objective: Objective,
        optimizer: Optimizer,
        constraints: Mapping[str, Constraint],
        rows: str = IN_ORDER,
        *,
        split: bool = False,
    ) -> LearningStep:
        """The step on a batch whose rows the expression `rows` takes, or on the parts of a batch
        that is `split`, whose gradients are added.
        """
        forward = Forward.of(objective.graph, training=True, split=split)
        slices = Slices.of(objective.graph, optimizer, objective.regularizers)
        measures = Measures.of(objective, forward, rows, learning=True, split=split)
        backward = Backward.of(forward, measures.summands, slices, penalized=measures.penalized)
        trained = {parameter.name for parameter in backward.trained}
        others = [
            parameter
            for parameter in objective.graph.parameters
            if parameter.trainable and parameter.name not in trained
        ]
        updates = Updates.of(optimizer, constraints, backward.trained, slices, others)
        return cls(objective, optimizer, forward, measures, backward, updates)

    @property
    def graph(self) -> Graph:
        """The model."""
        return self.objective.graph

    @property
    def gradients(self) -> list[str]:
        """The statements from the inputs of a batch to losses and gradients."""
        return [
            *self.measures.labels,
            "",
            *self.forward.lines,
            "",
            *self.measures.lines,
            *self.backward.lines,
        ]

    @property
    def draws(self) -> bool:
        """Whether numbers are drawn in the forward pass."""
        calls = self.graph.calls
        return any("seed" in self.forward.target(call).arguments for call in calls)

    @property
    def assigned(self) -> list[str]:
        """The parameters that the forward pass changes, and the update does not."""
        names = {parameter.name for parameter in self.graph.parameters}
        results = [
            name
            for call in self.graph.calls
            if self.forward.function(call) != IDENTITY
            for name in self.forward.results(call)[1:]
        ]
        assigned = dict.fromkeys(name for name in results if name in names)
        return [name for name in assigned if name not in self.updates.weights]

    def script(
        self,
        title: str,
        body: list[str],
        scalars: tuple[str, ...],
        notes: tuple[str, ...] = (),
        *,
        shuffled: bool,
        changed: tuple[str, ...] = (),
        own: tuple[str, ...] = (),
    ) -> Script:
        """The script with this body and functions of its `own`, which leaves `changed` parameters
        beside those it trains.
        """
        state = self.updates.state
        header = [
            f"{title}; compiled by keras2dml.",
            "",
            *described(self.graph),
            *self.objective.described(),
            f"state of the optimizer, as its weights: {', '.join(state) or 'none'}",
            *notes,
        ]
        statements = [
            *self.forward.calls,
            *self.measures.lines,
            *self.measures.penalties,
            *self.backward.lines,
            *self.updates.lines,
        ]
        text = syntax.script(header, statements, body, own)
        read = (
            *inputs(self.graph),
            *self.objective.targets,
            *self.objective.weights,
            *state,
            "schedule",
            *scalars,
            *(["order"] * shuffled),
        )
        left = (*self.updates.weights, *changed, *state, "history")
        return Script(text, read, left, self.graph.single)
