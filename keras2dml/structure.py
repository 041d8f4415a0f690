"""Identifies a model's inputs and outputs by Keras' names, in Keras' order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, TypeVar

from keras2dml.errors import InvalidData

T = TypeVar("T")


@dataclass(frozen=True)
class Structure:
    """The names of a model's inputs or outputs, in its order.

    They are `keyed` if the model was built with a dict of them: then several must be passed as a
    dict, and they are returned as a dict. Otherwise a dict is accepted, and a list is returned.
    """

    kind: Literal["inputs", "outputs"]
    names: tuple[str, ...]
    keyed: bool = False

    def listed(self, values: object, argument: str) -> list[Any]:
        """The value for each, from a dict by name, a list, or for a single one the value itself or
        a list with its array.

        As in Keras, unknown names are ignored in a dict for inputs that are not keyed. Raises
        InvalidData.
        """
        if isinstance(values, Mapping) and not hasattr(values, "toarray"):  # as SciPy's dok
            missing, unknown = set(self.names) - set(values), set(values) - set(self.names)
            if missing or (unknown and (self.keyed or self.kind == "outputs")):
                message = (
                    f"{argument} is a dict of {', '.join(map(str, values))}, but the model's"
                    f" {self.kind} are {', '.join(self.names)}: give an array for each of these."
                )
                raise InvalidData(message)
            return [values[name] for name in self.names]
        if len(self.names) == 1:
            return list(values) if self._is_of_one(values) else [values]
        if isinstance(values, (list, tuple)) and len(values) == len(self.names) and not self.keyed:
            return list(values)
        form = "a dict by their names" if self.keyed else "a list with an array for each"
        message = (
            f"The model has the {self.kind} {', '.join(self.names)}: give {argument} as {form}."
        )
        raise InvalidData(message)

    def _is_of_one(self, values: Any) -> TypeGuard[Sequence[Any]]:
        """Whether this is a list with a single array, rather than a list of rows."""
        if not isinstance(values, (list, tuple)) or len(values) != 1:
            return False
        return getattr(values[0], "ndim", 0) >= (2 if self.kind == "inputs" else 1)

    def packed(self, values: Sequence[T]) -> T | list[T] | dict[str, T]:
        """The values in the form in which Keras returns them: a dict, a list, or a single value."""
        if self.keyed:
            return dict(zip(self.names, values, strict=True))
        return values[0] if len(values) == 1 else list(values)
