"""Recognizes an X that yields batches, such as a dataset or generator."""

from __future__ import annotations

from importlib import import_module
from types import GeneratorType
from typing import Any

SINGLE_EXAMPLES = (
    "X yields single examples: let it yield batches, for example by dataset.batch(32)."
)
_LIBRARIES = frozenset(("keras", "tensorflow", "torch", "grain"))


def draws_batches(X: object) -> bool:
    """Whether Keras would treat X as something that yields batches."""
    if isinstance(X, GeneratorType):
        return True
    if _LIBRARIES.isdisjoint(kind.__module__.partition(".")[0] for kind in type(X).__mro__):
        return False  # and Keras need not be there
    adapters: Any = import_module("keras.src.trainers.data_adapters")
    return bool(
        isinstance(X, import_module("keras").utils.PyDataset)
        or adapters.is_tf_dataset(X)
        or adapters.is_torch_dataloader(X)
        or adapters.is_grain_dataset(X)
    )
