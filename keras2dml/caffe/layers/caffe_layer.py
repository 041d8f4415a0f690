"""What Caffe computes otherwise than any Keras layer: small Keras layers, each with its rule."""

from __future__ import annotations

from typing import Any

import keras

registered = keras.saving.register_keras_serializable("keras2dml.caffe")


class CaffeLayer(keras.Layer):  # type: ignore[misc]
    """A layer of blobs with their channels first, made of the arguments named in `config_names`."""

    data_format = "channels_first"
    config_names: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.config_names}}
