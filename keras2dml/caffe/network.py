"""A network file as a Keras model with its channels first: each layer of Caffe by its reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras2dml.caffe import schema
from keras2dml.errors import InvalidData, UnsupportedModel
from keras2dml.rules import Refusal

Shape = tuple[int, ...]
Blob = tuple[Any, Shape, Shape]
"""A Keras variable, with the shape of its blob and the axes that take that to Keras' order."""
Decay = Callable[[float], Any]
Reader = Callable[["Network", Any, Sequence[Any]], Any]
READERS: dict[str, Reader] = {}
FIRST = "channels_first"
DATA = ("Data", "MemoryData", "HDF5Data", "ImageData", "Input", "DummyData")
REMEDIES = {
    "RNN": "Caffe's unrolls over examples with a sequence marker; give a Keras SimpleRNN"
    " to Keras2DML",
    "LSTM": "Caffe's unrolls over examples with a sequence marker; give a Keras LSTM to Keras2DML",
    "LRN": "use BatchNorm and Scale, or leave it out",
}


def reads(kind: str) -> Callable[[Reader], Reader]:
    """Make the decorated function the reader of layers of that type: from a network, the layer's
    message and the tensors that go in to the one that comes out. It may raise Refusal.
    """

    def register(reader: Reader) -> Reader:
        READERS[kind] = reader
        return reader

    return register


@dataclass
class Network:
    """A network while it is read.

    `blobs` are tensors by Caffe's names, `learned` the variables of each layer in the order of its
    blobs.
    """

    shape: Shape
    decay: Decay
    input: Any
    blobs: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, list[Blob]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    loss: Any = None
    loss_weight: float = 1.0
    output: Any = None
    batch_size: int = 0
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, shape: Shape, decay: Decay) -> Network:
        """The network in a text file, for examples of this shape. Raises InvalidData,
        and UnsupportedModel with all complaints.
        """
        message = schema.parsed(path, "Net")
        network = cls(tuple(shape), decay, keras.Input(tuple(shape), name="data"))
        for name in message.input:
            network.blobs[name] = network.input
        layers = [layer for layer in message.layer if _trains(layer)]
        for layer in layers:
            network._enter(layer)
        if network.output is None:
            network.output = next(reversed(network.blobs.values()), None)
        if not network.complaints and (network.output is None or network.output is network.input):
            network.complaints.append("The network has no layers: give it some.")
        if network.complaints:
            raise UnsupportedModel(message.name or path.name, network.complaints)
        return network

    @property
    def classifies(self) -> bool:
        """Whether it tells classes apart."""
        return not isinstance(self.loss, keras.losses.MeanSquaredError)

    def model(self, name: str = "caffe") -> keras.Model:
        """The Keras model."""
        return keras.Model(self.input, self.output, name=name)

    def learns(self, layer: Any, variables: list[Blob]) -> None:
        """Note the variables that are the blobs of a layer, with their learning rates."""
        self.learned[layer.name] = variables
        for spec, (variable, _, _) in zip(layer.param, variables, strict=False):
            if variable.trainable and spec.lr_mult != 1:
                self.factors[variable.path] = float(spec.lr_mult)

    def regularizers(self, layer: Any) -> list[Any]:
        """Those of the weight and the bias of a layer, by their decay_mult."""
        specs = [spec.decay_mult for spec in layer.param]
        return [self.decay(multiplier) for multiplier in [*specs, 1.0, 1.0][:2]]

    def load(self, path: Path) -> None:
        """Give the Keras variables the blobs of a `.caffemodel`. Raises InvalidData."""
        found = schema.weights(path)
        missing = [name for name in self.learned if name not in found]
        if missing:
            told = f"{path} has no blobs for {', '.join(missing)}: give weights of this network."
            raise InvalidData(told)
        for name, variables in self.learned.items():
            blobs = [_array(blob) for blob in found[name]]
            sizes = [blob.size for blob in blobs]
            wanted = [int(np.prod(shape)) for _, shape, _ in variables]
            if sizes != wanted:
                told = (
                    f"{path} has blobs of {sizes} numbers for {name!r}, the network needs"
                    f" {wanted}: give weights of this network."
                )
                raise InvalidData(told)
            for blob, (variable, shape, axes) in zip(blobs, variables, strict=True):
                variable.assign(blob.reshape(shape).transpose(axes).reshape(variable.shape))

    def _enter(self, layer: Any) -> None:
        """Read a layer, and keep what it makes under the names of its tops."""
        try:
            if layer.type in DATA:
                self._data(layer)
                return
            if layer.type == "Accuracy":
                if layer.accuracy_param.top_k != 1:
                    told = f"{named(layer)} has top_k: only 1 is measured. Leave it out."
                    raise Refusal(told)
                return
            reader = READERS.get(layer.type)
            if reader is None:
                remedy = REMEDIES.get(layer.type, f"Compiled are {', '.join(sorted(READERS))}")
                told = f"{named(layer)} is not compiled: {remedy}."
                raise Refusal(told)
            unknown = [name for name in layer.bottom if name not in self.blobs]
            if unknown:
                told = f"{named(layer)} takes {', '.join(unknown)}, which no layer before it makes."
                raise Refusal(told)
            inputs = [self.blobs[name] for name in layer.bottom]
            made = None if any(one is None for one in inputs[:1]) else reader(self, layer, inputs)
        except Refusal as refusal:
            self.complaints += refusal.complaints
            made = None
        self.blobs.update(dict.fromkeys(layer.top, made))

    def _data(self, layer: Any) -> None:
        """The first top is the input, a second one the labels."""
        self.batch_size = layer.data_param.batch_size or layer.memory_data_param.batch_size
        for shape in layer.input_param.shape:
            if tuple(shape.dim[1:]) != self.shape:
                told = (
                    f"{named(layer)} has the shape {tuple(shape.dim)}; input_shape is"
                    f" {self.shape}: give one that agrees."
                )
                raise Refusal(told)
        for place, name in enumerate(layer.top):
            self.blobs[name] = self.input if place == 0 else None


def named(layer: Any) -> str:
    """How a complaint names a layer."""
    return f"Layer {layer.name!r} ({layer.type})"


def _trains(layer: Any) -> bool:
    """Whether a layer is there in training."""
    included = [rule.phase for rule in layer.include]
    train = 0
    if included:
        return train in included
    if layer.HasField("phase"):
        return bool(layer.phase == train)
    return train not in [rule.phase for rule in layer.exclude]


def _array(blob: Any) -> np.ndarray:
    return np.array(blob.double_data if len(blob.double_data) else blob.data, np.float64)
