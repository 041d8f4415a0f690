"""Converts a network's message to a Keras model with channels first, collecting all complaints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras2dml.caffe import inputs, phases, schema
from keras2dml.caffe.inputs import Absent
from keras2dml.caffe.layers.losses import classes_last
from keras2dml.caffe.network import READERS, Decay, Network, axis_of
from keras2dml.caffe.phases import Networks, named
from keras2dml.graph import Shape
from keras2dml.rules import Refusal

REMEDIES = {
    "RNN": "Caffe's unrolls over examples with a sequence marker; give a Keras SimpleRNN"
    " to Keras2DML",
    "LSTM": "Caffe's unrolls over examples with a sequence marker; give a Keras LSTM to Keras2DML",
    "Python": "it runs a Python class of yours; give Keras2DML a model with a custom Keras layer",
}
REFUSED = Absent("")
"""The blob of a layer about which there is a complaint already."""
MEASURE = Absent("a metric, one number per batch")


def read(networks: Networks, shape: Shape, decay: Decay) -> Network:
    """Convert the network of the TRAIN phase, for examples of this shape, with all complaints."""
    layers, labels = networks.train, {kind: reader.labels for kind, reader in READERS.items()}
    source = inputs.source_of(layers, shape, labels)
    complaints = [*networks.complaints, *source.complaints]
    network = Network(networks.name, decay, source, complaints, dict(source.blobs))
    network.views.append(source.tensor)
    consumed: set[int] = set()
    for layer in layers:
        network.complaints += [
            f"{named(layer)} has {field}, which is not compiled: leave it out."
            for field in schema.refused(layer)
        ]
        if layer.type in phases.DATA:
            continue
        try:
            tops = _tops(network, layer, consumed)
        except Refusal as refusal:
            network.complaints += refusal.complaints
            tops = []
        tops = [*tops, *[REFUSED] * len(layer.top)][: len(layer.top)]
        network.blobs.update(zip(layer.top, tops, strict=True))
        if layer.name and tops:
            network.blobs.setdefault(layer.name, tops[0])
    network.complaints += networks.differences()
    network.accuracies = networks.accuracies()
    if not network.complaints:
        network.outputs = _outputs(network, layers, consumed)
    return network


def _tops(network: Network, layer: Any, consumed: set[int]) -> Sequence[Any]:
    """The tops of a layer. Raises Refusal."""
    if layer.type == "Accuracy":
        scores = network.blobs.get(layer.bottom[0]) if layer.bottom else None
        axis = layer.accuracy_param.axis
        if keras.backend.is_keras_tensor(scores) and axis_of(layer, axis, scores) != 1:
            reason = f"{named(layer)} has axis: {axis}. Classes must be axis 1."
            raise Refusal(reason)
        return [MEASURE] * len(layer.top)
    if layer.type not in READERS:
        remedy = REMEDIES.get(layer.type, f"use one of {', '.join(sorted(READERS))}")
        reason = f"{named(layer)} is not compiled: {remedy}."
        raise Refusal(reason)
    reader, labels = READERS[layer.type]
    unknown = [name for name in layer.bottom if name not in network.blobs]
    if unknown:
        reason = f"{named(layer)} takes {', '.join(unknown)}, which no layer before it produces."
        raise Refusal(reason)
    examples = layer.bottom[: len(layer.bottom) - labels]
    _check(layer, len(examples))
    bottoms = [network.blobs[name] for name in layer.bottom]
    absent = {
        name: network.blobs[name].what
        for name in examples
        if isinstance(network.blobs[name], Absent) and layer.type not in inputs.WATCHERS
    }
    strange = [f"{name!r}, which is {what}" for name, what in absent.items() if what]
    if strange:
        reason = f"{named(layer)} takes {', '.join(strange)}: give it a blob of examples."
        raise Refusal(reason)
    if absent:
        return []
    consumed.update(map(id, bottoms))
    try:
        tops = reader(network, layer, bottoms)
    except ValueError as error:
        reason = f"{named(layer)} does not fit its input: {str(error).strip().splitlines()[0]}"
        raise Refusal(reason) from error
    return tops if isinstance(tops, list) else [tops]


def _check(layer: Any, examples: int) -> None:
    """Raise Refusal for settings of any layer type that are not compiled."""
    complaints = []
    if examples < 1:
        complaints.append(f"{named(layer)} has too few bottoms: give it all that it takes.")
    if any(layer.loss_weight) and not phases.is_loss(layer):
        complaints.append(
            f"{named(layer)} has a loss_weight. Only loss layers may have one here: leave it out."
        )
    if False in layer.propagate_down[:examples]:
        complaints.append(
            f"{named(layer)} has propagate_down: false. Gradients reach every layer that learns:"
            " leave it out, or give the layers before it lr_mult: 0."
        )
    if layer.HasField("phase") and layer.type in ("BatchNorm", "Dropout"):
        complaints.append(
            f"{named(layer)} has a phase. It follows the network's phase: leave it out."
        )
    if complaints:
        raise Refusal(*complaints)


def _outputs(network: Network, layers: Iterable[Any], consumed: set[int]) -> list[Any]:
    """The outputs of the model: those of the losses, or the blobs that no layer takes."""
    outputs = [head.output for head in network.heads]
    if outputs:
        if len({*map(id, outputs)}) < len(outputs):
            network.complaints.append("The network has two losses of one blob: remove one of them.")
        return outputs
    makers = {top: layer for layer in layers for top in layer.top}
    ends = [
        (makers[name], blob)
        for name, blob in network.blobs.items()
        if name in makers and not isinstance(blob, Absent) and id(blob) not in consumed
    ]
    ends = [*{id(blob): (maker, blob) for maker, blob in ends}.values()]
    if not ends or any(blob is network.source.tensor for _, blob in ends):
        network.complaints.append("The network has no layers: add some.")
    for place, (maker, blob) in enumerate(ends):
        outputs.append(blob)
        if any(blob is probability for probability in network.probabilities):
            outputs[place] = classes_last(network, maker, blob)
            network.classes.append(outputs[place])
    return outputs
