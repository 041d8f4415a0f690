"""The estimator's `input_shape`, which fixes sizes that a model leaves open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import keras

from keras2dml.errors import InvalidData
from keras2dml.keras_internals import layers_of
from keras2dml.rules.models import takes_of

Sizes = tuple[int, ...]
"""(C, H, W) of images, (T, D) of sequences, (D,) of vectors."""
InputShape = Sizes | Sequence[Sizes] | Mapping[str, Sizes]
"""The sizes of one input, or of several as a list or as a dict by their names."""

SOME_SIZES = (1, 16, 64)


class Declared:
    """An input as the model declares it: its shape without the batch, with None for open sizes, and
    whether it is an image with channels last.
    """

    def __init__(self, model: keras.Model, tensor: Any) -> None:
        formats = (getattr(layer, "data_format", None) for layer in layers_of(model))
        images = next(filter(None, formats), keras.config.image_data_format())
        self.name, self.shape = tensor.name, tuple(tensor.shape[1:])
        self.dtype = keras.backend.standardize_dtype(tensor.dtype)
        self.moved = len(self.shape) == 3 and images == "channels_last"

    @property
    def stored(self) -> tuple[int | None, ...]:
        """The shape in the order of `input_shape`: (C, H, W) for an image."""
        return (self.shape[2], *self.shape[:2]) if self.moved else self.shape

    def fixed(self, sizes: Sizes) -> tuple[int, ...]:
        """The shape with these sizes in place of open ones."""
        if None not in self.shape:
            return self.shape
        fitted = _fitted(sizes, self.stored)
        return (*fitted[1:], fitted[0]) if self.moved else fitted


def fixed_shapes(
    model: keras.Model, input_shape: InputShape | None
) -> tuple[tuple[int, ...], ...] | None:
    """The shape of each input, in the model's order and layout; None if the model leaves sizes open
    that `input_shape` does not fix.

    Raises InvalidData if `input_shape` does not fit the model's inputs.
    """
    inputs = [Declared(model, tensor) for tensor in getattr(model, "inputs", None) or ()]
    if input_shape is None or not inputs:
        shapes = tuple(declared.shape for declared in inputs)
        return None if any(None in shape for shape in shapes) else shapes
    takes = takes_of(model)
    sizes_of: list[Any] = takes.listed(input_shape, "input_shape")
    if len(inputs) == 1 and isinstance(sizes_of[0], list) and len(sizes_of[0]) == 1:
        sizes_of = sizes_of[0]
    if not all(isinstance(sizes, Sequence) for sizes in sizes_of):
        message = (
            f"input_shape is {input_shape!r}. Give a tuple of sizes for each of the model's inputs,"
            f" {', '.join(takes.names)}: a list of them, or a dict by these names."
        )
        raise InvalidData(message)
    for declared, sizes in zip(inputs, sizes_of, strict=True):
        if not _agree(tuple(sizes), declared.stored):
            name = f" of {declared.name}" if len(inputs) > 1 else ""
            remedy = "a number for each None" if None in declared.shape else "that, or leave it out"
            message = (
                f"input_shape{name} is {tuple(sizes)}, in the order C,H,W; the model takes"
                f" {declared.stored}: give {remedy}."
            )
            raise InvalidData(message)
    pairs = zip(inputs, sizes_of, strict=True)
    return tuple(declared.fixed(tuple(sizes)) for declared, sizes in pairs)


def example_shapes(model: keras.Model) -> tuple[tuple[int, ...], ...] | None:
    """Shapes of inputs with which Keras can call the model, with small sizes in place of open ones;
    None if it cannot.
    """
    for size in SOME_SIZES:
        shapes = tuple(tuple(own or size for own in tensor.shape[1:]) for tensor in model.inputs)
        if not any(misfits(model, shapes)):
            return shapes
    return None


def misfits(model: keras.Model, shapes: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """A complaint about shapes of inputs, in the model's layout, for which Keras cannot call a
    model that leaves them open.
    """
    pairs = [*zip(model.inputs, shapes, strict=True)]
    if not any(None in tensor.shape[1:] for tensor, _ in pairs):
        return
    symbols = [keras.KerasTensor((None, *shape), tensor.dtype) for tensor, shape in pairs]
    try:
        model.compute_output_spec(takes_of(model).packed(symbols))
    except Exception as error:  # Keras' or its backend's
        listed = ", ".join(map(str, shapes))
        reason = str(error).strip().splitlines()[0]
        yield (
            f"Its layers do not take examples of {listed} ({reason:.300}): give an input_shape that"
            " they do."
        )


def _agree(sizes: Sizes, stored: tuple[int | None, ...]) -> bool:
    """Whether an input takes examples of these sizes; a model of vectors also takes images."""
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        return False
    fitted = _fitted(sizes, stored)
    return len(fitted) == len(stored) and all(
        own in (None, size) for size, own in zip(fitted, stored, strict=True)
    )


def _fitted(sizes: Sizes, stored: tuple[int | None, ...]) -> Sizes:
    """The sizes for an input: without a last 1 that SystemML added to two sizes; for a model of
    vectors the product of an image's sizes.
    """
    count = len(stored)
    if count == 1:
        return (math.prod(sizes),)
    return sizes[:count] if all(size == 1 for size in sizes[count:]) else sizes
