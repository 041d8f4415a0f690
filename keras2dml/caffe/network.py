"""A network while it is converted: its blobs and variables, and the registry of readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras

from keras2dml.caffe.inputs import Absent, Source
from keras2dml.caffe.phases import named
from keras2dml.caffe.weights import Blob, Sharing
from keras2dml.rules import Refusal

Decay = Callable[[float], Any]
Reader = Callable[["Network", Any, Sequence[Any]], Any]
FIRST = "channels_first"
IMAGE_RANK = 4


class Reading(NamedTuple):
    """The reader of a layer type; the last `labels` of its bottoms may be labels."""

    reader: Reader
    labels: int


READERS: dict[str, Reading] = {}


def reads(*kinds: str, labels: int = 0) -> Callable[[Reader], Reader]:
    """Register the decorated function as the reader of these layer types. It takes a network, the
    layer's message and the input tensors, and returns the output tensor, or a list with one for
    each top. It may raise Refusal.
    """

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(kinds, Reading(reader, labels)))
        return reader

    return register


@dataclass(frozen=True, eq=False)
class Head:
    """A loss of a network: the Keras loss of an output, and its weight.

    `scores` is the blob that goes into Caffe's loss, `target` the blob of labels; None if the
    output learns to equal the input.
    """

    output: Any
    loss: keras.losses.Loss
    weight: float
    scores: str
    target: str | None


@dataclass
class Network:
    """A network while it is converted, and the result.

    `blobs` has tensors by Caffe's names, or Absent; `learned` the variables of each layer in the
    order of its blobs; `factors` the learning rate multipliers of variables by path; `views` the
    input in other shapes; `probabilities` the results of a Softmax over channels, and `classes`
    those of them that are outputs; `accuracies` the top-k accuracies by the blob of their scores.
    """

    name: str
    decay: Decay
    source: Source
    complaints: list[str] = field(default_factory=list)
    blobs: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, list[Blob]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    heads: list[Head] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    probabilities: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    classes: list[Any] = field(default_factory=list)
    accuracies: dict[str, set[int]] = field(default_factory=dict)
    sharing: Sharing = field(default_factory=Sharing)
    _names: set[str] = field(default_factory=set)

    def model(self, name: str = "caffe") -> keras.Model:
        """The Keras model."""
        outputs = self.outputs if len(self.outputs) > 1 else self.outputs[0]
        return keras.Model(self.source.tensor, outputs, name=name)

    def reserve_name(self, layer: Any, suffix: str = "") -> str:
        """A unique name for a Keras layer: Caffe's, with `_` for characters that Keras does not
        allow.
        """
        base = re.sub(r"[^A-Za-z0-9_.\-]", "_", f"{layer.name or layer.type}{suffix}")
        base = base if base[0].isalnum() else f"layer_{base}"
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    def add_blobs(self, layer: Any, variables: list[Blob]) -> None:
        """Add the variables of a layer's blobs, with their learning rate multipliers."""
        if layer.name in self.learned:
            reason = f"{named(layer)} has the same name as another layer with weights: rename it."
            raise Refusal(reason)
        self.learned[layer.name] = variables
        for spec, blob in zip(layer.param, variables, strict=False):
            if blob.variable.trainable and spec.lr_mult != 1:
                self.factors.setdefault(blob.variable.path, float(spec.lr_mult))

    def regularizers(self, layer: Any) -> list[Any]:
        """The regularizers of a layer's weight and bias, by their decay_mult."""
        multipliers = [spec.decay_mult for spec in layer.param]
        return [self.decay(multiplier) for multiplier in [*multipliers, 1.0, 1.0][:2]]

    def target(self, layer: Any) -> str | None:
        """The top with the labels of a loss; None for the input."""
        name = layer.bottom[-1]
        blob = self.blobs[name]
        if isinstance(blob, Absent) and blob.is_label:
            return self.source.names[name]
        if any(blob is view for view in self.views):
            return None
        reason = (
            f"{named(layer)} learns from {name!r}, which is computed. Only losses that learn from a"
            " top of the data layer are compiled: give it one."
        )
        raise Refusal(reason)


def axis_of(layer: Any, axis: int, tensor: Any) -> int:
    """The non-negative index of a blob's axis, at least 1, as axis 0 is the examples. Raises
    Refusal.
    """
    rank = len(tensor.shape)
    place = axis + rank if axis < 0 else axis
    if not 1 <= place < rank:
        reason = (
            f"{named(layer)} has axis: {axis}, but takes a blob of {rank} axes, the first of which"
            f" is the examples: give an axis from 1 to {rank - 1}."
        )
        raise Refusal(reason)
    return place


def image_of(layer: Any, tensor: Any) -> Any:
    """The tensor, if it holds images; raises Refusal otherwise."""
    if len(tensor.shape) != IMAGE_RANK:
        reason = (
            f"{named(layer)} takes {tuple(tensor.shape[1:])}. Only images (C, H, W) are compiled:"
            " give it those."
        )
        raise Refusal(reason)
    return tensor
