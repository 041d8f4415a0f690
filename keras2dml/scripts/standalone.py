"""What a script has around it as a program of its own: reading files, settings, writing files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from keras2dml.dml import syntax
from keras2dml.graph import Graph, Parameter
from keras2dml.objectives.objective import Objective
from keras2dml.rendering import input_types
from keras2dml.scripts.updates import AVERAGE


def reads(graph: Graph, files: Mapping[str, str]) -> list[str]:
    """The statements that read the inputs, and matrices by name from their files of weights."""
    lines = ['format = ifdef($format, "csv")', 'weights = ifdef($weights, "weights")']
    for value in graph.inputs:
        name = graph.input_name(value)
        lines += [f"{name} = read(${name}, format=format)", _checked(name, value.size)]
        lines += input_types.statements(name, value)
    return [*lines, *(read(name, file) for name, file in files.items())]


def reads_of_targets(objective: Objective) -> Iterator[str]:
    """The statements that read the targets."""
    for name, goal in zip(objective.targets, objective.goals, strict=True):
        yield f"{name} = read(${name}, format=format)"
        yield _checked(name, goal.width)
        if goal.of_classes:
            classes = goal.value.shape[-1]
            wrong = f"{name} has class numbers out of range: give 0 to {classes - 1}."
            yield f"if (min({name}) < 0 | max({name}) > {classes - 1}) {{"
            yield f"  stop({syntax.quoted(wrong)})"
            yield "}"
            yield f"{name} = {name} + 1"


def settings(first: str, steps: int) -> list[str]:
    """The scalars of a training on the rows of the matrix `first`, after so many steps."""
    return [
        "epochs = ifdef($epochs, 1)",
        "batch_size = ifdef($batch_size, 32)",
        "seed = ifdef($seed, 42)",
        f"iterations = as.integer(epochs * ceil(nrow({first}) / batch_size))",
        f"iteration_before = {steps}",
        "batch_before = 0",
    ]


def one_rate(rate: str) -> list[str]:
    """The schedule of a learning rate that stays, by default `rate`."""
    return [
        f"learning_rate = ifdef($learning_rate, {rate})",
        "schedule = matrix(learning_rate, rows=iterations, cols=1)",
    ]


def rates_of(file: str, iterations: int) -> list[str]:
    """The schedule from a file, of so many steps."""
    message = f"There are learning rates for {iterations} steps: compile with more --iterations."
    return [
        read("schedule", file),
        f"if (iterations > {iterations}) {{",
        f"  stop({syntax.quoted(message)})",
        "}",
    ]


def filled(name: str, matrix: np.ndarray) -> str:
    """The statement that makes a matrix of which all numbers are the same."""
    rows, columns = matrix.shape
    return f"{name} = matrix({syntax.literal(float(matrix[0, 0]))}, rows={rows}, cols={columns})"


def averaged(parameters: Collection[Parameter]) -> Iterator[str]:
    """The statements that put Keras' averages in the place of trained weights."""
    for parameter in parameters:
        if parameter.trainable:
            yield f"{parameter.name} = {parameter.name}_{AVERAGE}"


def epochs(objective: Objective) -> list[str]:
    """The statements that print the loss of each epoch."""
    last = sum(count for _, count, _ in objective.columns())
    lines = [
        "last = min(epoch * batches, iterations)",
        "part = history[((epoch - 1) * batches + 1):last,]",
        f'print("Epoch " + epoch + ": loss " + sum(part[,1]) / sum(part[,{last}]))',
    ]
    return syntax.block("for (epoch in 1:epochs)", lines)


def read(variable: str, file: str) -> str:
    """The statement that reads a matrix from the folder of weights."""
    return f'{variable} = read(weights + "/{file}")'


def write(variable: str, file: str) -> str:
    """The statement that writes a matrix to the folder of what is trained."""
    return f'write({variable}, $out + "/{file}", format=format)'


def write_scores(variable: str, argument: str) -> str:
    """The statement that writes scores to the file that an argument names."""
    return f"write({variable}, ${argument}, format=format)"


def _checked(name: str, columns: int) -> str:
    """A statement that stops where a matrix has not so many columns."""
    number = f"{columns} column" + "s" * (columns != 1)
    wrong = f"{name} must have {number}, one row for each example; it has "
    return f"if (ncol({name}) != {columns}) {{ stop({syntax.quoted(wrong)} + ncol({name})) }}"
