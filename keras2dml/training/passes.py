"""The epochs of an X that yields batches, for training and validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.data.datasets import Batches, Drawn
from keras2dml.data.labels import Classes
from keras2dml.errors import InvalidData
from keras2dml.training.examples import Data, examples


@dataclass(frozen=True, eq=False)
class Segment:
    """Consecutive batches of an epoch with `size` rows, of which the last may be smaller: `count`
    batches from number `begin`.
    """

    data: Data
    begin: int
    count: int
    size: int


class Passes:
    """The epochs of a training, each read when it begins; the first has been read already. All have
    the same number of batches.
    """

    def __init__(
        self,
        compilation: Compilation,
        X: Any,
        steps: int | None,
        epochs: int | None,
        classes: Classes | None,
        class_weight: Mapping[Any, float] | None,
        *,
        shuffle: bool,
    ) -> None:
        """`epochs` are to be drawn. Raises InvalidData before anything is trained where that cannot
        go on to the end, as far as X tells.
        """
        self._batches = Batches(X, steps, "steps_per_epoch", shuffle=shuffle)
        self._batches.check_end(repeats=True)
        count = self._batches.data_adapter.num_batches
        if steps and count and count % steps and (epochs or 1) * steps > count:
            message = (
                f"X has {count} batches, which are no whole epochs of steps_per_epoch={steps}: give"
                " a dataset that repeats, or other steps."
            )
            raise InvalidData(message)
        self._compilation, self._class_weight = compilation, class_weight
        self._classes, self._number = classes, 0
        self._batches.reset()
        drawn = self._batches.epoch()
        self.count = steps or len(drawn.sizes)
        self.first, self._segments = self._in_segments(drawn)
        self._classes = [target.classes for target in self.first.targets]

    @property
    def size(self) -> int:
        """The number of rows of the first batch."""
        return self._segments[0].size

    def segment(self, iteration: int) -> Segment:
        """What an iteration of the training, from 0, is among. Raises InvalidData where an epoch
        that it begins has other batches in number than the first one.
        """
        number, place = divmod(iteration, self.count)
        if number > self._number:
            self._number = number
            _, self._segments = self._in_segments(self._batches.epoch())
        return next(segment for segment in reversed(self._segments) if segment.begin <= place)

    def _in_segments(self, drawn: Drawn) -> tuple[Data, list[Segment]]:
        """The examples of an epoch, and its segments."""
        sizes = drawn.sizes
        if len(sizes) != self.count:
            message = (
                f"X has {len(sizes)} batches in an epoch, of {self.count}: give a dataset that"
                " repeats, with steps_per_epoch."
            )
            raise InvalidData(message)
        begins = [0]
        for number in range(1, len(sizes)):
            first = sizes[begins[-1]]
            if sizes[number] > first or sizes[number - 1] < first:
                begins.append(number)
        if len(begins) > 1 and int(self._compilation.model.steps_per_execution) > 1:
            message = (
                f"X yields batches of {drawn.listed} rows, and the model has steps_per_execution:"
                " give batches of one size, of which the last of an epoch may be smaller."
            )
            raise InvalidData(message)
        data = _examples(self._compilation, drawn, self._classes, self._class_weight)
        rows = np.cumsum([0, *sizes])
        return data, [
            Segment(data.part(slice(rows[begin], rows[end])), begin, end - begin, sizes[begin])
            for begin, end in zip(begins, [*begins[1:], len(sizes)], strict=True)
        ]


class ValidationBatches:
    """Validation examples, read again each time; the `first` ones have been read already."""

    def __init__(
        self,
        compilation: Compilation,
        X: Any,
        steps: int | None,
        argument: str,
        classes: Classes,
        *,
        repeats: bool,
    ) -> None:
        """Raises InvalidData; of a generator without steps that is to be measured again, too."""
        self._compilation, self._classes = compilation, classes
        self._batches = Batches(X, steps, argument)
        self._batches.check_end(repeats=repeats)
        self.first = self._draw()
        self._unused: Data | None = self.first

    def next(self) -> Data:
        """The examples of the next measurement."""
        data, self._unused = self._unused or self._draw(), None
        return data

    def _draw(self) -> Data:
        self._batches.reset()
        drawn = self._batches.epoch()
        self.size, self.count = drawn.sizes[0], len(drawn.sizes)
        whole = self._compilation.objective().by_batch
        if whole and ({*drawn.sizes[:-1]} - {self.size} or drawn.sizes[-1] > self.size):
            message = (
                f"X yields batches of {drawn.listed} rows, and a loss of the model is one of"
                " whole batches: give batches of one size, of which the last may be smaller."
            )
            raise InvalidData(message)
        return _examples(self._compilation, drawn, self._classes, None)


def _examples(
    compilation: Compilation,
    drawn: Drawn,
    classes: Classes | None,
    class_weight: Mapping[Any, float] | None,
) -> Data:
    if drawn.y is None:
        message = "X yields batches without y: let it yield (X, y), or (X, y, sample_weight)."
        raise InvalidData(message)
    parts = drawn.X, drawn.y, classes, drawn.sample_weight, class_weight
    return examples(compilation, *parts, drawn=True)
