"""The training script: mini-batches in the order of the rows, each a step of the optimizer."""

from __future__ import annotations

from collections import defaultdict

from keras2dml import dml
from keras2dml.graph import Call, Graph
from keras2dml.losses import Loss
from keras2dml.optimizers import Optimizer
from keras2dml.rendering import Forward, Script, described
from keras2dml.scoring import ROWS_AT_ONCE

# What is recorded of each iteration, a column each.
HISTORY = ("loss", "accuracy", "rows")


def render(graph: Graph, loss: Loss, optimizer: Optimizer, *, of_classes: bool) -> Script:
    """The script that runs `iterations` steps from number `iteration_before` on, and leaves
    weights, state, `history`.

    Y is (N, 1) class numbers from 1 if `of_classes`, else (N, K) probabilities. An epoch is all
    rows; its last batch may be smaller. `history` (iterations, 3) has the loss and the accuracy
    before each update.
    """
    forward = Forward.of(graph, "X_batch", training=True)
    backward = _Backward(forward, loss)
    state = {
        weight.name: [f"{weight.name}_{kept}" for kept in optimizer.state]
        for weight in backward.trained
    }
    step = [
        "iteration = iteration_before + i",
        "begin = ((iteration - 1) %% batches) * batch_size + 1",
        "end = min(begin + batch_size - 1, nrow(X))",
        "rows = end - begin + 1",
        "X_batch = X[begin:end,]",
        wanted(graph, of_classes),
        "",
        *forward.lines,
        "",
        *backward.lines,
        "",
        *(_update(weight, optimizer, state[weight]) for weight in state),
        "",
        f"hits = sum(rowIndexMax({forward[graph.output]}) == rowIndexMax(Y_batch))",
        "history[i, 1] = as.matrix(loss)",
        "history[i, 2] = as.matrix(hits / rows)",
        "history[i, 3] = as.matrix(rows)",
    ]
    body = [
        "batches = ceil(nrow(X) / batch_size)",
        f"history = matrix(0, rows=iterations, cols={len(HISTORY)})",
        *dml.block("for (i in 1:iterations)", step),
    ]
    kept = tuple(name for names in state.values() for name in names)
    weights = tuple(weight.name for weight in graph.weights())
    scalars = ("batch_size", "iterations", "iteration_before", "learning_rate", "seed")
    header = [
        f"Trains the Keras model {graph.name!r}; compiled by keras2dml.",
        "",
        *described(graph),
        "Y: "
        + (
            "class numbers from 1 (N x 1)"
            if of_classes
            else f"probabilities (N x {graph.output.size})"
        ),
        f"state of the optimizer, as its weights: {', '.join(kept) or 'none'}",
        f"scalars: {', '.join(scalars)}",
    ]
    used = [*forward.used, *backward.used, loss.function, f"{optimizer.function}_update"]
    inputs = ("X", "Y", *weights, *kept, *scalars)
    return Script(dml.script(header, used, body), inputs, (*state, *kept, "history"))


def evaluation(graph: Graph, loss: Loss, *, of_classes: bool) -> Script:
    """The script that leaves the mean `loss` and `accuracy` of the model as it stands over X and Y,
    as `measured` (1, 2).
    """
    forward = Forward.of(graph, "X_batch", training=False)
    measure = {loss.argument: forward[loss.takes], "Y": "Y_batch"}
    body = [
        "measured = matrix(0, rows=1, cols=2)",
        *dml.block(
            f"for (begin in seq(1, nrow(X), {ROWS_AT_ONCE}))",
            [
                f"end = min(begin + {ROWS_AT_ONCE - 1}, nrow(X))",
                "rows = end - begin + 1",
                "X_batch = X[begin:end,]",
                wanted(graph, of_classes),
                *forward.lines,
                dml.call(loss.function, ["loss", "gradient"], measure),
                f"hits = sum(rowIndexMax({forward[graph.output]}) == rowIndexMax(Y_batch))",
                "measured = measured + cbind(as.matrix(loss * rows), as.matrix(hits))",
            ],
        ),
        "measured = measured / nrow(X)",
    ]
    header = [f"Measures the Keras model {graph.name!r} on X and Y; compiled by keras2dml."]
    weights = tuple(weight.name for weight in graph.weights())
    return Script(
        dml.script(header, [*forward.used, loss.function], body),
        ("X", "Y", *weights),
        ("measured",),
    )


def wanted(graph: Graph, of_classes: bool) -> str:
    """The statement that takes a batch of Y as probabilities."""
    rows = "Y[begin:end,]"
    return (
        f"Y_batch = table(seq(1, rows), {rows}, rows, {graph.output.size})"
        if of_classes
        else f"Y_batch = {rows}"
    )


def _update(weight: str, optimizer: Optimizer, state: list[str]) -> str:
    arguments = {
        "W": weight,
        "dW": f"d_{weight}",
        "learning_rate": "learning_rate",
        "step": "iteration",
        **dict(zip(optimizer.state, state, strict=True)),
        **{name: dml.literal(value) for name, value in optimizer.constants.items()},
    }
    return dml.call(f"{optimizer.function}_update", [weight, *state], arguments)


class _Backward:
    """The statements from the loss to the gradient of every trainable weight, and no further."""

    def __init__(self, forward: Forward, loss: Loss) -> None:
        self.forward = forward
        self.used: list[str] = []
        self.lines: list[str] = []
        self.trained = [weight for weight in forward.graph.weights() if weight.trainable]
        self.summands: dict[str, list[str]] = defaultdict(list)
        self.weight_summands: dict[str, list[str]] = defaultdict(list)
        needed = self._needed(forward.graph)
        gradient = f"d_{forward[loss.takes]}"
        self.lines.append(
            dml.call(
                loss.function,
                ["loss", gradient],
                {loss.argument: forward[loss.takes], "Y": "Y_batch"},
            )
        )
        self.summands[forward[loss.takes]].append(gradient)
        for call in reversed(forward.graph.calls):
            if call is not loss.skips and call.function != "identity":
                self._append(call, needed)

    def _append(self, call: Call, needed: set[int]) -> None:
        out, x = call.output.name, self.forward[call.inputs[0]]
        trained = [weight for weight in call.weights if weight.trainable]
        wanted = id(call.inputs[0]) in needed
        if not self.summands[out] or not (trained or wanted):
            return
        arguments = {**self.forward.arguments(call), "dout": self._sum(self.summands[out])}
        if trained:
            self._weights(call, arguments)
        if wanted:
            name = f"{call.function}_backward"
            gradient = f"d_{x}" if not self.summands[x] else f"d_{x}_by_{out}"
            self.used.append(name)
            self.lines.append(dml.call(name, [gradient], arguments))
            self.summands[x].append(gradient)

    def _weights(self, call: Call, arguments: dict[str, str]) -> None:
        """The gradients of a call's weights; those of a weight that is used again are added up."""
        name = f"{call.function}_gradients"
        weights = {f"d{weight.argument}": weight for weight in call.weights}
        results = []
        for result in dml.function(name).results:
            weight = weights[result].name
            again = bool(self.weight_summands[weight])
            results.append(f"d_{weight}_by_{call.output.name}" if again else f"d_{weight}")
            self.weight_summands[weight].append(results[-1])
        self.used.append(name)
        self.lines.append(dml.call(name, results, arguments))
        for result in dml.function(name).results:
            weight = weights[result].name
            if len(self.weight_summands[weight]) > 1:
                self.lines.append(f"d_{weight} = {self._sum(self.weight_summands[weight])}")
                self.weight_summands[weight] = [f"d_{weight}"]

    @staticmethod
    def _sum(summands: list[str]) -> str:
        return " + ".join(summands)

    @staticmethod
    def _needed(graph: Graph) -> set[int]:
        """The values on which a trainable weight has an influence: only they need a gradient."""
        needed: set[int] = set()
        for call in graph.calls:
            if any(weight.trainable for weight in call.weights) or any(
                id(x) in needed for x in call.inputs
            ):
                needed.add(id(call.output))
        return needed
