"""Finds layers that were changed into others after they were built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras2dml.keras_internals import layers_of
from keras2dml.rules.arguments import named


def changes(layer: Any, *, deep: bool = True) -> Iterator[str]:
    """Complaints about changes to a Keras layer, or with `deep` to one within it, that its
    arguments do not show.
    """
    for part in layers_of(layer) if deep else [layer]:
        if getattr(part, "quantization_mode", None):
            yield (
                f"{named(part)} is quantized to {part.quantization_mode}. SystemDS computes in"
                " float64: give the model as it was before quantize()."
            )
        if getattr(part, "lora_enabled", False) and part is not layer:
            yield (
                f"{named(part)} has LoRA. It is compiled without: load what save_weights() wrote,"
                " in which LoRA is part of the kernels, into the model as it was before."
            )
        if "bias" in vars(part) and "use_bias" in vars(part):
            yield from _of_bias(part)
        if isinstance(part, keras.layers.Normalization) and part.input_mean is not None:
            yield from _of_statistics(part)
        if "call" in vars(part):
            yield (
                f"{named(part)} has a call of its own in place of its class', which is not"
                " compiled: make a class of it, with a rule."
            )


def _of_statistics(layer: keras.layers.Normalization) -> Iterator[str]:
    """A complaint about arguments of a Normalization that differ from what it scores with."""
    scores_with = (layer.mean, layer.variance)
    for name, number in zip(("mean", "variance"), scores_with, strict=True):
        now, before = np.ravel(number), np.ravel(getattr(layer, f"input_{name}"))
        if before.size in (1, now.size) and not np.allclose(now, before, rtol=1e-6, atol=0):
            yield (
                f"{named(layer)} has another {name} than it was made with: one was changed. Give it"
                " to the constructor."
            )


def _of_bias(layer: Any) -> Iterator[str]:
    """A complaint about a bias that contradicts `use_bias`: some Keras layers use the one, some the
    other.
    """
    if bool(layer.use_bias) != (layer.bias is not None):
        has = "a" if layer.bias is not None else "no"
        yield (
            f"{named(layer)} has use_bias={layer.use_bias!r}, but {has} bias: one was changed once"
            " it was built. Give use_bias to the constructor."
        )
