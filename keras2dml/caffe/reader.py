"""From a network's message to a Keras model with its channels first, with all complaints."""

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
    "Python": "it computes what a class of yours does; give Keras2DML a model with a Keras layer of"
    " your own",
}
REFUSED = Absent("")
"""The blob of a layer about which something was said already."""
MEASURE = Absent("a measure, one number for a batch")


def read(networks: Networks, shape: Shape, decay: Decay) -> Network:
    """The network of the TRAIN phase, for examples of that shape, with all complaints."""
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
    """What a layer makes of its bottoms."""
    if layer.type == "Accuracy":
        scores = network.blobs.get(layer.bottom[0]) if layer.bottom else None
        axis = layer.accuracy_param.axis
        if keras.backend.is_keras_tensor(scores) and axis_of(layer, axis, scores) != 1:
            reason = f"{named(layer)} has axis: {axis}. Classes are axis 1."
            raise Refusal(reason)
        return [MEASURE] * len(layer.top)
    if layer.type not in READERS:
        remedy = REMEDIES.get(layer.type, f"use one of {', '.join(sorted(READERS))}")
        reason = f"{named(layer)} is not compiled: {remedy}."
        raise Refusal(reason)
    reader, labels = READERS[layer.type]
    unknown = [name for name in layer.bottom if name not in network.blobs]
    if unknown:
        reason = f"{named(layer)} takes {', '.join(unknown)}, which no layer before it makes."
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
        reason = f"{named(layer)} takes {', '.join(strange)}: give it what examples are made to."
        raise Refusal(reason)
    if absent:
        return []
    consumed.update(map(id, bottoms))
    try:
        tops = reader(network, layer, bottoms)
    except ValueError as error:
        reason = f"{named(layer)} does not fit what goes in: {str(error).strip().splitlines()[0]}"
        raise Refusal(reason) from error
    return tops if isinstance(tops, list) else [tops]


def _check(layer: Any, examples: int) -> None:
    """Refuse what a layer of any type may have and what is not compiled."""
    complaints = []
    if examples < 1:
        complaints.append(f"{named(layer)} has too few bottoms: give it what it takes.")
    if any(layer.loss_weight) and not phases.is_loss(layer):
        complaints.append(
            f"{named(layer)} has a loss_weight. Only loss layers make a loss here: leave it out."
        )
    if False in layer.propagate_down[:examples]:
        complaints.append(
            f"{named(layer)} has propagate_down: false. Gradients go wherever something is learned:"
            " leave it out, or give the layers before lr_mult: 0."
        )
    if layer.HasField("phase") and layer.type in ("BatchNorm", "Dropout"):
        complaints.append(
            f"{named(layer)} has a phase of its own. It follows the network's: leave it out."
        )
    if complaints:
        raise Refusal(*complaints)


def _outputs(network: Network, layers: Iterable[Any], consumed: set[int]) -> list[Any]:
    """The outputs of a model: those of the losses, or what no layer takes."""
    outputs = [head.output for head in network.heads]
    if outputs:
        if len({*map(id, outputs)}) < len(outputs):
            network.complaints.append("The network has two losses of one blob: leave one out.")
        return outputs
    makers = {top: layer for layer in layers for top in layer.top}
    ends = [
        (makers[name], blob)
        for name, blob in network.blobs.items()
        if name in makers and not isinstance(blob, Absent) and id(blob) not in consumed
    ]
    ends = [*{id(blob): (maker, blob) for maker, blob in ends}.values()]
    if not ends or any(blob is network.source.tensor for _, blob in ends):
        network.complaints.append("The network has no layers: give it some.")
    for place, (maker, blob) in enumerate(ends):
        outputs.append(blob)
        if any(blob is probability for probability in network.probabilities):
            outputs[place] = classes_last(network, maker, blob)
            network.classes.append(outputs[place])
    return outputs
