"""The learned blobs of layers: their Keras variables, which layers share them, and their values in
a `.caffemodel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras2dml.caffe import schema, upgrades
from keras2dml.caffe.phases import named
from keras2dml.errors import InvalidData
from keras2dml.graph import Shape
from keras2dml.rules import Refusal

APART = ("_initializer", "_regularizer", "fillers", "decays", "name")
"""Suffixes of the settings in which layers with shared blobs may differ."""


class Blob(NamedTuple):
    """A Keras variable, with its blob's shape and the transposition to Keras' order of axes."""

    variable: Any
    shape: Shape
    axes: Shape


class Owner(NamedTuple):
    """The first layer with a blob, in Keras and in Caffe, and the blob's index in it."""

    keras_layer: Any
    layer: Any
    place: int


@dataclass
class Sharing:
    """The owners of named blobs: layers whose blobs have the same names share them."""

    owners: dict[str, Owner] = field(default_factory=dict)

    def keras_layer(self, layer: Any, blobs: int, build: Callable[[], Any]) -> Any:
        """The Keras layer for a layer with this many blobs: the result of `build`, or the layer
        whose blobs it shares. Raises Refusal.
        """
        names = [spec.name for spec in layer.param[:blobs]]
        owners = [self.owners.get(name) for name in names]
        keras_layer = build()
        owner = next((candidate for candidate in owners if candidate is not None), None)
        if owner is None:
            for place, name in enumerate(names):
                if name:
                    self.owners[name] = Owner(keras_layer, layer, place)
            return keras_layer
        places = [
            candidate.place if candidate and candidate.layer is owner.layer else None
            for candidate in owners
        ]
        if places != list(range(blobs)):
            reason = (
                f"{named(layer)} shares some of its blobs with {named(owner.layer)}. Only layers"
                " that share all blobs in the same order are compiled: name all, or none."
            )
            raise Refusal(reason)
        if _settings(keras_layer) != _settings(owner.keras_layer) or _rates_differ(
            layer, owner.layer
        ):
            reason = (
                f"{named(layer)} shares its blobs with {named(owner.layer)}, but has other"
                " settings: give both the same parameters, lr_mult and decay_mult."
            )
            raise Refusal(reason)
        return owner.keras_layer


def load(learned: Mapping[str, Sequence[Blob]], path: Path, *, partly: bool = False) -> list[str]:
    """Load the blobs of a `.caffemodel` into Keras variables; returns the names of layers that it
    lacks, of which there may be some only if `partly`. Raises InvalidData.
    """
    net, complaints = upgrades.upgraded(schema.weights(path))
    blobs = {layer.name: layer.blobs for layer in net.layer if len(layer.blobs)}
    missing = [name for name in learned if name not in blobs]
    if missing and not partly:
        complaints.append(
            f"{path} has no blobs for {', '.join(missing)}: give weights of this network."
        )
    for name in learned.keys() - set(missing):
        sizes = [len(blob.double_data) or len(blob.data) for blob in blobs[name]]
        needed = [math.prod(blob.shape) for blob in learned[name]]
        if sizes != needed:
            complaints.append(
                f"{path} has blobs of {sizes} numbers for {name!r}, but the network needs {needed}:"
                " give weights of this network."
            )
    if complaints:
        raise InvalidData(" ".join(complaints))
    for name in learned.keys() - set(missing):
        for blob, numbers in zip(learned[name], map(_array, blobs[name]), strict=True):
            variable = blob.variable
            variable.assign(
                numbers.reshape(blob.shape).transpose(blob.axes).reshape(variable.shape)
            )
    return missing


def _array(blob: Any) -> np.ndarray:
    return np.array(blob.double_data if len(blob.double_data) else blob.data, np.float64)


def _settings(keras_layer: Any) -> dict[str, Any]:
    config: dict[str, Any] = keras_layer.get_config()
    return {name: value for name, value in config.items() if not name.endswith(APART)}


def _rates_differ(layer: Any, owner: Any) -> bool:
    """Whether a layer has other learning rates or decays than the owner of its blobs."""
    return any(
        spec.HasField(name) and getattr(spec, name) != getattr(first, name)
        for spec, first in zip(layer.param, owner.param, strict=False)
        for name in ("lr_mult", "decay_mult")
    )
