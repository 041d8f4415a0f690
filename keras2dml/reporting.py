"""What a user sees while a model trains, and the model's summary."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from keras2dml.fitting import Iteration
from keras2dml.graph import Graph, source_of


class Display:
    """A progress bar over the iterations, and a line of loss and accuracy every `every` of them."""

    def __init__(self, iterations: int, every: int, console: Console | None = None) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.console = console or Console()
        self._progress = Progress(*columns, console=self.console, transient=True)
        self._task = self._progress.add_task("training", total=iterations)
        self._every = every

    def __enter__(self) -> Display:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; the lines stay."""
        self._progress.stop()

    def show(self, iterations: Iterable[Iteration]) -> None:
        """Move the bar on, and say what is due."""
        for step in iterations:
            self._progress.advance(self._task)
            if step.number % self._every == 0:
                line = (
                    f"Iter:{step.number}, training loss:{step.loss:.6f}, training"
                    f" accuracy:{100 * step.accuracy:.2f}"
                )
                self.console.print(line, highlight=False)

    def say(self, line: str) -> None:
        """A line of its own."""
        self.console.print(line, highlight=False)


def summary(graph: Graph) -> Table:
    """A table of the calls: layer, DML function, output, weights, and what comes before."""
    table = Table(
        "Name",
        "Type",
        "Output",
        "Weight",
        "Bias",
        "Top",
        "Bottom",
        title=f"Model {graph.name!r} in DML",
    )
    for value in graph.inputs:
        name = graph.input_name(value)
        table.add_row(name, "Data", _shape(value.stored), "", "", name, "")
    for call in graph.calls:
        sizes = {weight.argument: _shape(weight.matrix) for weight in call.weights}
        below = ", ".join(graph.names[source_of(value)] for value in call.inputs)
        row = (sizes.get("W", ""), sizes.get("b", ""), graph.names[call], below)
        table.add_row(call.layer, call.function, _shape(call.results["out"]), *row)
    return table


def _shape(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, ("N", *sizes)))
