"""Which of a model's inputs or outputs is which: by Keras' names, in Keras' order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, TypeVar

from keras2dml.errors import InvalidData

T = TypeVar("T")


@dataclass(frozen=True)
class Structure:
    """The names of a model's inputs or outputs, in its order.

    A model may be built of a dict of them: they are `keyed` then, several of them are taken as a
    dict only, and all are handed out as one. Of others a dict is taken, and a list is handed out.
    """

    kind: Literal["inputs", "outputs"]
    names: tuple[str, ...]
    keyed: bool = False

    def listed(self, values: object, argument: str) -> list[Any]:
        """What a user gives for each: a dict by the names, a list, or for one alone as it is, or
        its array in a list.

        As with Keras, names besides are ignored in a dict of inputs that are not keyed. Raises
        InvalidData.
        """
        if isinstance(values, Mapping) and not hasattr(values, "toarray"):  # as SciPy's dok
            missing, unknown = set(self.names) - set(values), set(values) - set(self.names)
            if missing or (unknown and (self.keyed or self.kind == "outputs")):
                message = (
                    f"{argument} is a dict of {', '.join(map(str, values))}, and the model's"
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
        """Whether this is a list with the one array, and no list of rows."""
        if not isinstance(values, (list, tuple)) or len(values) != 1:
            return False
        return getattr(values[0], "ndim", 0) >= (2 if self.kind == "inputs" else 1)

    def packed(self, values: Sequence[T]) -> T | list[T] | dict[str, T]:
        """What is handed out of each: a dict, a list, or one alone, as Keras does."""
        if self.keyed:
            return dict(zip(self.names, values, strict=True))
        return values[0] if len(values) == 1 else list(values)
