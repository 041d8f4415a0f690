"""What X may be beside arrays and tables: something that draws its own batches."""

from __future__ import annotations

from types import GeneratorType

import keras
from keras.src.trainers import data_adapters


def draws_batches(X: object) -> bool:
    """Whether Keras would take X for something that draws its own batches."""
    kinds = (GeneratorType, keras.utils.PyDataset)
    return (
        isinstance(X, kinds)
        or data_adapters.is_tf_dataset(X)
        or data_adapters.is_torch_dataloader(X)
        or data_adapters.is_grain_dataset(X)
    )
