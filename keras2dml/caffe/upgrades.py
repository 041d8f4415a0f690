"""Upgrades older forms of Caffe's files, as Caffe itself does."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from keras2dml.caffe import schema

TYPES = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
"""New names of old layer types, where they are not simply the enumeration's words in camel case."""
SOLVERS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""The solver types in the order of the old enumeration."""
BLOBS = ("param", "blobs_lr", "weight_decay", "blob_share_mode")
"""Lists of an old layer with an entry for each blob."""
TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")
OLDEST = (
    "The network has layers within 'layers', Caffe's oldest form, which is not read: upgrade it"
    " with Caffe's tools upgrade_net_proto_text or upgrade_net_proto_binary."
)


def upgraded(net: Any) -> tuple[Any, list[str]]:
    """The network in the form of `layer`, with its inputs as an Input layer, and complaints about
    forms that are too old.
    """
    fresh = schema.message("Net")()
    fresh.CopyFrom(net)
    del fresh.layers[:], fresh.layer[:]
    if net.input:
        fresh.layer.append(_input(net))
    fresh.layer.extend([*net.layer, *(_layer(old) for old in net.layers)])
    for layer in fresh.layer:
        for data in (layer.data_param, layer.image_data_param, layer.window_data_param):
            _move_transforms(data, layer.transform_param)
    oldest = any(old.HasField("layer") for old in net.layers)
    return fresh, [OLDEST] if oldest else []


def _input(net: Any) -> Any:
    """The Input layer for the old `input` fields of a network."""
    layer = schema.message("Layer")(name="input", type="Input", top=net.input)
    if net.input_shape:
        layer.input_param.shape.extend(net.input_shape)
    for begin in range(0, len(net.input_dim), 4):
        layer.input_param.shape.add(dim=net.input_dim[begin : begin + 4])
    return layer


def _layer(old: Any) -> Any:
    """An old layer in the new form."""
    layer = schema.message("Layer")()
    for field, value in old.ListFields():
        if field.name == "type":
            label = field.enum_type.values_by_number[value].name
            camel = "".join(word.capitalize() for word in label.split("_"))
            layer.type = TYPES.get(label, camel)
        elif field.name not in (*BLOBS, "layer"):
            _copy(layer, field, value)
    for name, rate, decay, mode in zip_longest(*(getattr(old, blobs) for blobs in BLOBS)):
        settings = {"name": name, "lr_mult": rate, "decay_mult": decay, "share_mode": mode}
        layer.param.add(**{key: value for key, value in settings.items() if value is not None})
    return layer


def _copy(layer: Any, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(layer, field.name).extend(value)
    elif field.type == field.TYPE_MESSAGE:
        getattr(layer, field.name).CopyFrom(value)
    else:
        setattr(layer, field.name, value)


def _move_transforms(data: Any, transforms: Any) -> None:
    """Move the transforms of an old data layer to its transform_param."""
    for name in TRANSFORMS:
        if data.HasField(name):
            setattr(transforms, name, getattr(data, name))
            data.ClearField(name)
