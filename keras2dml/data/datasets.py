"""Batches of an X that yields batches, such as a dataset, joined to the matrices of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import keras
import numpy as np
from keras.src.trainers import data_adapters
from keras.src.trainers.epoch_iterator import EpochIterator

from keras2dml.data.sources import SINGLE_EXAMPLES
from keras2dml.errors import InvalidData, positive
from keras2dml.scripts.algorithms import Algorithm

EPOCH_BYTES = 1 << 33
"""Maximum bytes of an epoch, in float64: it is held in memory as a whole."""
PIECE_BYTES = 1 << 28
"""Bytes that are scored at once."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Joined batches, and the number of rows of each."""

    X: Any
    y: Any
    sample_weight: Any
    sizes: tuple[int, ...]

    @property
    def listed(self) -> str:
        """The different batch sizes, for a message."""
        sizes = sorted({*self.sizes})
        return ", ".join(map(str, sizes[:5])) + (", ..." if len(sizes) > 5 else "")


class Batches(EpochIterator):  # type: ignore[misc]
    """Keras' iterator over epochs, with NumPy arrays: it begins a pass over the data when Keras
    does, so that data that shuffles itself has the same order.
    """

    def __init__(self, X: Any, steps: int | None, argument: str, *, shuffle: bool = False) -> None:
        """`argument` is the name of the argument `steps`. Raises InvalidData for an X from which
        Keras gets no batches.
        """
        self.argument, self._drawn = argument, X
        if steps is not None:
            positive(argument, steps)
        shuffled = shuffle and isinstance(X, keras.utils.PyDataset)
        try:
            super().__init__(X, steps_per_epoch=steps, shuffle=shuffled)
        except ValueError as error:
            message = f"Keras gets no batches from X ({error}): give one that it accepts."
            raise InvalidData(message) from error

    @property
    def is_endless(self) -> bool:
        """Whether X declares that it has no end."""
        if isinstance(self.data_adapter, data_adapters.TFDatasetAdapter):
            dataset = self.data_adapter.get_tf_dataset()
            return int(dataset.cardinality()) == -1
        is_py_dataset = isinstance(self.data_adapter, data_adapters.PyDatasetAdapter)
        return is_py_dataset and self._num_batches is None

    def check_end(self, *, repeats: bool = False) -> None:
        """Raise InvalidData if X has no end and no steps are given; also if a generator is used
        again, of which nothing is left.
        """
        if repeats and isinstance(self._drawn, GeneratorType) and not self.steps_per_epoch:
            message = f"X is a generator, which has no length: give {self.argument}."
            raise InvalidData(message)
        if self.is_endless and not self.steps_per_epoch:
            message = f"X yields batches without an end: give {self.argument}."
            raise InvalidData(message)

    def pieces(self, most: int) -> Iterator[Drawn]:
        """The batches of an epoch in pieces of about `most` bytes; none if nothing is left."""
        batches: list[tuple[Any, Any, Any]] = []
        values = 0
        for _, _, buffer in self:
            for batch in buffer:
                batches.append(tuple(map(_arrays, keras.utils.unpack_x_y_sample_weight(batch))))
                values += 8 * sum(np.size(part) for part in keras.tree.flatten(batches[-1]))
            if values > most:
                yield _joined(batches)
                batches, values = [], 0
        if batches:
            yield _joined(batches)

    def epoch(self) -> Drawn:
        """The batches of an epoch. Raises InvalidData if there are none, or too many bytes."""
        pieces = self.pieces(EPOCH_BYTES)
        drawn = next(pieces, None)
        if drawn is None:
            message = "X has no more batches: give a dataset that repeats, or fewer epochs."
            raise InvalidData(message)
        if next(pieces, None) is not None:
            message = (
                f"X yields more than {EPOCH_BYTES >> 30} GiB in an epoch, which is held in memory:"
                f" give {self.argument}, or a part of X."
            )
            raise InvalidData(message)
        return drawn

    def _get_iterator(self) -> Any:
        # TensorFlow begins a pass when it creates an iterator, others with the first batch.
        of_tensorflow = keras.backend.backend() == "tensorflow"
        if of_tensorflow and isinstance(self.data_adapter, data_adapters.TFDatasetAdapter):
            return self.data_adapter.get_tf_dataset()
        return self.data_adapter.get_numpy_iterator()

    def _interrupted_warning(self) -> None:
        """Do nothing: the caller reports it."""


def check_alone(algorithm: Algorithm | None = None, **arguments: object) -> None:
    """Raise InvalidData for arguments that an X that yields batches excludes, and for a
    `train_algo` that would change its batches.
    """
    if algorithm is not None and algorithm.train not in ("minibatch", "allreduce"):
        message = (
            f"X yields batches, which train_algo={algorithm.train!r} would change: set 'minibatch'"
            " or 'allreduce', or give arrays."
        )
        raise InvalidData(message)
    named = [name for name, value in arguments.items() if value is not None and value is not False]
    if named:
        message = (
            f"X yields batches of (X, y) or (X, y, sample_weight), so {', '.join(named)} cannot be"
            f" given: leave it out."
        )
        raise InvalidData(message)


def draw_all(X: Any) -> tuple[Any, Any, Any]:
    """X, y and sample weights of all batches. Raises InvalidData."""
    batches = Batches(X, None, "a part of it, as by .take(n)")
    batches.check_end()
    drawn = batches.epoch()
    return drawn.X, drawn.y, drawn.sample_weight


def score_batches(X: Any, score: Callable[[Any], list[np.ndarray]]) -> list[np.ndarray]:
    """The results of `score` for the batches of X, joined: an array for each output."""
    batches = Batches(X, None, "a part of it, as by .take(n)")
    batches.check_end()
    pieces = [score(piece.X) for piece in batches.pieces(PIECE_BYTES)]
    if not pieces:
        message = "X yields no batches: give at least one row."
        raise InvalidData(message)
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _arrays(part: Any) -> Any:
    return keras.tree.map_structure(
        lambda tensor: None if tensor is None else np.asarray(tensor), part
    )


def _joined(batches: list[tuple[Any, Any, Any]]) -> Drawn:
    """Batches joined together; raises InvalidData if they do not fit."""
    if any(np.ndim(part) == 0 for part in keras.tree.flatten(batches[0]) if part is not None):
        raise InvalidData(SINGLE_EXAMPLES)
    sizes = tuple(len(keras.tree.flatten(features)[0]) for features, _, _ in batches)
    try:
        X, y, sample_weight = (
            None if parts[0] is None else keras.tree.map_structure(_concatenated, *parts)
            for parts in zip(*batches, strict=True)
        )
    except (ValueError, TypeError) as error:
        message = (
            f"The batches of X do not fit each other ({error}): give all rows the same shape, for"
            " example by padding."
        )
        raise InvalidData(message) from error
    return Drawn(X, y, sample_weight, sizes)


def _concatenated(*parts: Any) -> Any:
    return None if parts[0] is None else np.concatenate(parts)
