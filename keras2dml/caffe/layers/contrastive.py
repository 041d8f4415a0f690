"""ContrastiveLoss: pulls similar pairs of examples together and pushes other pairs apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras2dml.caffe.layers.caffe_layer import registered
from keras2dml.caffe.layers.losses import add_loss
from keras2dml.caffe.network import Network, reads
from keras2dml.caffe.phases import named
from keras2dml.objectives.loss_kinds import PLAIN
from keras2dml.rules import Refusal


def contrastive(y_true: Any, y_pred: Any, margin: float = 1.0, legacy: bool = False) -> Any:
    """The loss for squared distances (N, 1) and y (N,). Where y is not 0, half of the squared
    distance d²; elsewhere half of max(margin - d, 0)², or for `legacy` half of max(margin - d², 0).

    The gradient is Caffe's, which divides by d + 0.0001.
    """
    squares = ops.convert_to_tensor(y_pred)
    y_true = ops.reshape(ops.cast(y_true, squares.dtype), ops.shape(squares))
    distance = ops.sqrt(ops.stop_gradient(squares))
    alike = ops.cast(ops.abs(y_true) >= 1, squares.dtype)
    lack = ops.maximum(margin - (ops.square(distance) if legacy else distance), 0.0)
    apart = lack / 2 if legacy else ops.square(lack) / 2
    slope = -ops.cast(lack > 0, squares.dtype) / 2 if legacy else -lack / (distance + 1e-4) / 2
    losses = alike * ops.square(distance) / 2 + (1 - alike) * apart
    slopes = alike / 2 + (1 - alike) * slope
    return ops.mean(losses + slopes * (squares - ops.stop_gradient(squares)), axis=-1)


@registered
class Contrastive(keras.losses.Loss):  # type: ignore[misc]
    """Caffe's ContrastiveLoss, for the squared distances of pairs."""

    def __init__(
        self,
        margin: float = 1.0,
        legacy: bool = False,
        reduction: str = "sum_over_batch_size",
        name: str = "contrastive",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin, self.legacy = margin, legacy

    @property
    def _fn_kwargs(self) -> dict[str, Any]:
        return {"margin": self.margin, "legacy": self.legacy}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each pair."""
        return contrastive(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), **self._fn_kwargs}


PLAIN[Contrastive] = "caffe_contrastive"


@reads("ContrastiveLoss", labels=1)
def read_contrastive(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The model's output is the squared distances, (N, 1)."""
    param = layer.contrastive_loss_param
    if len(inputs) != 3 or any(len(blob.shape) != 2 for blob in inputs[:2]):
        reason = f"{named(layer)} must compare two rows of numbers: give it two blobs (N, D)."
        raise Refusal(reason)
    apart = keras.layers.Subtract(name=network.reserve_name(layer, "_difference"))(inputs[:2])
    squares = keras.layers.Dot(1, name=network.reserve_name(layer))([apart, apart])
    loss = Contrastive(param.margin, param.legacy_version)
    return add_loss(network, layer, squares, loss)
