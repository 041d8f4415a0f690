"""The types of numbers that operations compute in: SystemDS has float64 alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras.src.ops import core
from keras.src.ops import numpy as operations

from keras2dml.rules import named
from keras2dml.rules.operations.batches import are_whole_batches
from keras2dml.rules.operations.moving import MOVING

EXACT = frozenset(("bool", "int32", "int64", "float32", "float64"))
"""The types whose numbers are those of float64, as long as they fit or but for their rounding."""
KEEPING = (*MOVING, operations.Concatenate, operations.Append, operations.Hstack, operations.Stack)
"""The operations that keep numbers as they are."""
CASTING = (core.Cast, core.ConvertToTensor)


def complaints(operation: Any, node: Any) -> Iterator[str]:
    """What is wrong with the types of an operation's results, of which `node` tells."""
    taken = {str(tensor.dtype) for tensor in node.input_tensors}
    kinds = {str(tensor.dtype) for tensor in node.output_tensors}
    if isinstance(operation, CASTING):
        if "float64" in taken and "float32" in kinds:
            yield (
                f"{named(operation)} rounds float64 to float32. SystemDS does not: leave it out, or"
                " compute all in one type."
            )
    elif not isinstance(operation, KEEPING):
        for kind in sorted(kinds - EXACT):
            yield (
                f"{named(operation)} computes in {kind}, whose numbers end or are rounded early."
                " SystemDS computes in float64: cast what goes in to 'float32' or 'float64'."
            )
        if isinstance(operation, (operations.Mean, operations.Var)) and _is_rounded(taken, kinds):
            yield (
                f"{named(operation)} makes float32 of whole numbers, where all else is float64:"
                " cast them to 'float64' first."
            )
        if isinstance(operation, operations.FullLike) and not kinds <= {"float32", "float64"}:
            yield f"{named(operation)} makes numbers of {kinds.pop()}. Give it dtype='float32'."


def _is_rounded(taken: set[str], kinds: set[str]) -> bool:
    """Whether Keras computes in float32 what a model in float64 takes."""
    exact = keras.config.floatx() == "float64" and not are_whole_batches()
    return exact and kinds == {"float32"} and not any("float" in kind for kind in taken)


def uncopied(operation: Any) -> Iterator[str]:
    """A complaint where Keras can neither copy nor save a model with this operation."""
    try:
        operation.get_config()
    except NotImplementedError:
        yield (
            f"{named(operation)} was made with an array, and Keras copies no model with it. Give it"
            " numbers or tuples, or use maximum, minimum or where, which take arrays."
        )
