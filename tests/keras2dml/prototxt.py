"""Networks and solvers of Caffe, as texts and files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from keras2dml.caffe import phases, schema, upgrades
from keras2dml.caffe.estimator import read
from keras2dml.caffe.network import Network

DATA = 'layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 4 } }\n'


def layer(name: str, kind: str, bottom: str, more: str = "", top: str = "") -> str:
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    tops = " ".join(f'top: "{blob}"' for blob in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }}\n'


def inner(name: str, bottom: str, count: int, more: str = "", top: str = "") -> str:
    filler = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "uniform" }'
    own = f"inner_product_param {{ num_output: {count} {filler} }}"
    return layer(name, "InnerProduct", bottom, f"{own} {more}", top)


MULTIPLIED = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"
CONV = """convolution_param { num_output: 3 kernel_size: 3 pad: 1 stride: 1
  weight_filler { type: "xavier" } }"""
LENET = (
    DATA
    + layer("conv1", "Convolution", "data", f"{CONV} {MULTIPLIED}")
    + layer("pool1", "Pooling", "conv1", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    + layer("relu1", "ReLU", "pool1", "relu_param { negative_slope: 0.1 }", top="pool1")
    + inner("ip1", "pool1", 5, MULTIPLIED)
    + layer("tanh", "TanH", "ip1", top="ip1")
    + inner("ip2", "ip1", 4)
    + layer("accuracy", "Accuracy", "ip2 label", "include { phase: TEST }")
    + layer("loss", "SoftmaxWithLoss", "ip2 label")
)
SHAPE = (2, 7, 5)


def written(folder: Path, net: str, solver: str = 'base_lr: 0.1 type: "SGD"') -> Path:
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(f'net: "net.prototxt" {solver}')
    return folder / "solver.prototxt"


def network(folder: Path, net: str, shape: tuple[int, ...] = SHAPE) -> Network:
    """The network of a text, with a data layer before it if it has none."""
    has_data = re.search(r'Data"|"Input"|\binput:', net)
    return read(written(folder, net if has_data else DATA + net), shape)[1]


def layers_of(folder: Path) -> list[Any]:
    """The layers of the TEST phase of the network that was written to a folder."""
    net, _ = upgrades.upgraded(schema.parsed(folder / "net.prototxt", "Net").message)
    return phases.layers_in(net, phases.state(phases.TEST))


def blobs_for(read: Network, path: Path, seed: int = 3) -> dict[str, list[np.ndarray]]:
    """Blobs for what a network learns, drawn and written to a `.caffemodel`; those that layers
    share are the same.
    """
    generator, net = np.random.default_rng(seed), schema.message("Net")()
    drawn: dict[str, list[np.ndarray]] = {}
    shared: dict[str, np.ndarray] = {}
    for name, blobs in read.learned.items():
        added = net.layer.add(name=name)
        for blob in blobs:
            numbers = generator.normal(0, 0.5, blob.shape)
            path_of = blob.variable.path
            positive = "variance" in path_of or "count" in path_of
            numbers = shared.setdefault(path_of, abs(numbers) + 0.5 if positive else numbers)
            drawn.setdefault(name, []).append(numbers)
            added.blobs.add(double_data=numbers.ravel()).shape.dim.extend(blob.shape)
    path.write_bytes(net.SerializeToString())
    return drawn
