"""Functions of a script: what is computed of a batch, apart from the loop over batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keras2dml.dml import syntax

# SystemDS would write the body of a function without control flow into its caller.
_APART = "while (FALSE) {}  # so that SystemDS keeps the function"
_WIDTH = 100


@dataclass(frozen=True)
class BatchFunction:
    """A DML function of matrices and numbers, of which `integers` are whole. Arguments, results and
    the variables with which the script calls it have the same names.

    It takes all rows with the bounds of a batch: SystemDS plans by the sizes of what it is given,
    and would know none of a batch.
    """

    name: str
    matrices: tuple[str, ...]
    results: tuple[str, ...]
    body: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Its definition."""
        arguments = [
            *(f"matrix[double] {name}" for name in self.matrices),
            *(f"double {name}" for name in self.numbers),
            *(f"integer {name}" for name in self.integers),
        ]
        results = [f"matrix[double] {name}" for name in self.results]
        returned = _listed("return (", results, ") {")
        return "\n".join(
            [
                *_listed(f"{self.name} = function(", arguments, ")"),
                *(f"    {line}" for line in returned[:-1]),
                *syntax.block(f"    {returned[-1]}".removesuffix(" {"), [_APART, *self.body]),
            ]
        )

    @property
    def call(self) -> list[str]:
        """The statement that calls it."""
        arguments = (*self.matrices, *self.numbers, *self.integers)
        if len(self.results) == 1:
            return _listed(f"{self.results[0]} = {self.name}(", arguments, ")")
        results = _listed("[", self.results, f"] = {self.name}(")
        return [*results[:-1], *_listed(results[-1], arguments, ")")]


def _listed(head: str, items: Sequence[str], end: str) -> list[str]:
    """A list with commas between its head and end, in as many lines as it takes."""
    lines, rest = [head], [*(f"{item}, " for item in items[:-1]), *items[-1:]]
    for item in rest:
        if len(lines[-1]) + len(item) > _WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append("    ")
        lines[-1] += item
    lines[-1] += end
    return lines
