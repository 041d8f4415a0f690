"""Data layers: the examples and labels that they provide, and their transforms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras2dml.caffe.phases import DATA, named
from keras2dml.graph import Shape

SIZES = tuple[int | None, ...]
WATCHERS = ("Accuracy", "HDF5Output", "Silence")
"""Layers other than losses that take labels; nothing is computed from them."""


@dataclass(frozen=True)
class Absent:
    """A blob that is not a tensor: `what` it is instead; empty if its layer was refused."""

    what: str
    is_label: bool = False


@dataclass
class Source:
    """The input of a network, and the blobs of its data layers by name.

    `names` maps the blobs to tops of data layers, of which `labels` are not examples; `transforms`
    describes what the data layer does to examples.
    """

    tensor: Any
    blobs: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    batch_size: int = 0
    transforms: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def source_of(layers: Sequence[Any], shape: Shape, labels: Mapping[str, int]) -> Source:
    """The input of layers: the top of a data layer that one of them takes as examples. `labels` has
    the number of a layer type's last bottoms that are labels.

    SystemML's networks use a data layer's name for its first top.
    """
    data = [layer for layer in layers if layer.type in DATA]
    makers = {top: layer for layer in data for top in layer.top}
    names = {layer.name: layer.top[0] for layer in data if layer.top and layer.name not in makers}
    names |= {top: top for top in makers}
    tops = _example_tops(layers, names, labels)
    example = next(iter(tops or names.values()), None)
    complaints = []
    if len(tops) > 1:
        complaints.append(
            f"The network takes {', '.join(tops)} from its data layers. Only networks with a single"
            " input besides labels are compiled: combine them into one, and Slice it."
        )
    if example is None:
        return Source(keras.Input(shape, name="data"), complaints=complaints)
    layer = makers[example]
    sizes = _sizes(layer, list(layer.top).index(example))
    if sizes and not _agree(sizes, shape):
        listed = ", ".join("any" if size is None else str(size) for size in sizes)
        complaints.append(
            f"{named(layer)} provides ({listed}), but input_shape is {shape}: make them agree."
        )
        sizes = ()
    whole = tuple(size for size in sizes if size is not None)
    tensor = keras.Input(whole if len(whole) == len(sizes) > 0 else shape, name="data")
    label, other = Absent("a label", is_label=True), Absent("")
    kinds = {top: other if top in tops else label for top in makers} | {example: tensor}
    blobs = {name: kinds[top] for name, top in names.items()}
    return Source(
        tensor,
        blobs,
        names,
        [top for top in makers if top != example],
        _batch_size(layer),
        [*_transforms(layer)],
        complaints,
    )


def _example_tops(
    layers: Iterable[Any], names: Mapping[str, str], labels: Mapping[str, int]
) -> list[str]:
    """The tops of data layers that other layers take as examples."""
    tops: dict[str, None] = {}
    rewritten: set[str] = set()
    for layer in layers:
        if layer.type in DATA:
            continue
        count = len(layer.bottom) - labels.get(layer.type, 0)
        for name in layer.bottom[: 0 if layer.type in WATCHERS else count]:
            if name in names and name not in rewritten:
                tops.setdefault(names[name])
        rewritten.update(layer.top)
    return [*tops]


def _sizes(layer: Any, place: int) -> SIZES:
    """The sizes of an example according to a data layer; None for a size that is left open."""
    dummy = layer.dummy_data_param
    if layer.type in ("Input", "DummyData"):
        shapes = (layer.input_param if layer.type == "Input" else dummy).shape
        if shapes:
            return tuple(shapes[min(place, len(shapes) - 1)].dim[1:])
        sides = [dummy.channels, dummy.height, dummy.width]
        return tuple(side[min(place, len(side) - 1)] for side in sides if side)
    if layer.type == "MemoryData":
        memory = layer.memory_data_param
        return (memory.channels, memory.height, memory.width)
    crop, image = layer.transform_param.crop_size, layer.image_data_param
    if crop:
        return (None, crop, crop)
    return (None, image.new_height, image.new_width) if image.new_height else ()


def _agree(sizes: SIZES, shape: Shape) -> bool:
    """Whether a shape has these sizes, up to trailing axes of size 1."""
    rank = max(len(sizes), len(shape))
    padded = [(*part, *[1] * (rank - len(part))) for part in (sizes, shape)]
    return all(size in (None, actual) for size, actual in zip(*padded, strict=True))


def _batch_size(layer: Any) -> int:
    """The batch size of a data layer; 0 if it has none."""
    return max(
        int(about.batch_size) if layer.HasField(name) else 0
        for name, about in (
            (f"{kind}_param", getattr(layer, f"{kind}_param"))
            for kind in ("data", "hdf5_data", "image_data", "memory_data", "window_data")
        )
    )


def _transforms(layer: Any) -> Iterable[str]:
    """What a data layer does to examples, in the words of its file."""
    for setting, value in layer.transform_param.ListFields():
        if setting.is_repeated:
            yield f"{setting.name} {', '.join(f'{number:g}' for number in value)}"
        elif value != setting.default_value:
            yield setting.name if value is True else f"{setting.name} {value}"
