"""The base of Keras layers that compute what only Caffe does; each has its rule."""

from __future__ import annotations

from typing import Any

import keras

registered = keras.saving.register_keras_serializable("keras2dml.caffe")


class CaffeLayer(keras.Layer):  # type: ignore[misc]
    """A layer with channels first, whose arguments are named in `config_names`."""

    data_format = "channels_first"
    config_names: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.config_names}}
