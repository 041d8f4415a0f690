"""Each layer of Caffe: NumPy says what it scores, Keras what SystemDS scores and learns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
from caffe_arithmetic import scored
from oracle import agrees, examples, listed, near
from prototxt import CONV, DATA, blobs_for, inner, layer, layers_of, network, written

from keras2dml import Caffe2DML, InvalidData
from keras2dml.caffe import weights
from keras2dml.caffe.layers.normalization import CaffeBatchNorm
from keras2dml.compilation import Compilation
from keras2dml.scripts.algorithms import Algorithm

TWO_STEPS = 'type: "SGD" base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 max_iter: 2 display: 0'

FILLER = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "uniform" }'


def convolved(settings: str, kind: str = "Convolution") -> Callable[[str, str], str]:
    return lambda name, x: layer(name, kind, x, f"convolution_param {{ {settings} {FILLER} }}")


def plain(kind: str, settings: str = "") -> Callable[[str, str], str]:
    return lambda name, x: layer(name, kind, x, settings)


def pooled(settings: str) -> Callable[[str, str], str]:
    return plain("Pooling", f"pooling_param {{ {settings} }}")


# Every layer with what makes it another one, as a text of its name and of the blob that it takes.
BRANCHES: dict[str, Callable[[str, str], str]] = {
    "grouped": convolved("num_output: 4 kernel_size: 3 group: 2 pad: 1"),
    "dilated": convolved("num_output: 3 kernel_size: 2 dilation: 2 dilation: 1 bias_term: false"),
    "rectangular": convolved("num_output: 3 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1"),
    "as_wide": convolved("num_output: 5 kernel_size: 1"),
    "depthwise": convolved("num_output: 2 kernel_size: 3 group: 2"),
    "transposed": convolved("num_output: 3 kernel_size: 3 stride: 2 pad: 1", "Deconvolution"),
    "floor": pooled("pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR"),
    "overlap": pooled("pool: AVE kernel_size: 3 stride: 2 pad: 1"),
    "global_max": pooled("pool: MAX global_pooling: true"),
    "global_mean": pooled("pool: AVE global_pooling: true"),
    "lrn": plain("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }"),
    "lrn_wide": plain("LRN", "lrn_param { local_size: 5 alpha: 2 beta: 0.5 }"),
    "lrn_within": plain(
        "LRN", "lrn_param { local_size: 3 alpha: 2 k: 3 norm_region: WITHIN_CHANNEL }"
    ),
    "norm": plain("BatchNorm", "batch_norm_param { eps: 0.01 }"),
    "norm/global": plain("BatchNorm", "batch_norm_param { use_global_stats: true }"),
    "norm_global": plain("Scale", "scale_param { bias_term: true }"),
    "relu": plain("ReLU", "relu_param { negative_slope: 0.25 }"),
    "prelu": plain("PReLU"),
    "prelu_shared": plain(
        "PReLU", 'prelu_param { channel_shared: true filler { type: "uniform" } }'
    ),
    "elu": plain("ELU", "elu_param { alpha: 0.5 }"),
    "softplus": plain("BNLL"),
    "abs": plain("AbsVal"),
    "power": plain("Power", "power_param { power: 1.5 scale: 0.25 shift: 3 }"),
    "rescaled": plain("Power", "power_param { scale: -2 shift: 1 }"),
    "one": plain("Power", "power_param { power: 0 }"),
    "exp": plain("Exp", "exp_param { base: 2 scale: 0.5 shift: -1 }"),
    "log": plain("Log", "log_param { base: 10 scale: 0.25 shift: 3 }"),
    "threshold": plain("Threshold", "threshold_param { threshold: 0.25 }"),
    "weighted": lambda name, x: (
        layer(f"{name}_tanh", "TanH", x)
        + layer(
            name, "Eltwise", f"{x} {name}_tanh {x}", "eltwise_param { coeff: 2 coeff: -1 coeff: 1 }"
        )
    ),
    "largest": lambda name, x: (
        layer(f"{name}_tanh", "TanH", x)
        + layer(name, "Eltwise", f"{x} {name}_tanh {x}", "eltwise_param { operation: MAX }")
    ),
    "product": lambda name, x: (
        layer(f"{name}_tanh", "Sigmoid", x)
        + layer(name, "Eltwise", f"{x} {name}_tanh", "eltwise_param { operation: PROD }")
    ),
    "sliced": lambda name, x: (
        layer(name, "Slice", x, "slice_param { axis: -1 slice_point: 2 }", f"{name}_1 {name}_2")
        + layer(name, "Concat", f"{name}_2 {name}_1", "concat_param { axis: 3 }")
    ),
    "halves": lambda name, x: (
        layer(name, "Slice", x, top=f"{name}_1 {name}_2")
        + layer(name, "Split", f"{name}_2", top=f"{name}_3 {name}_4")
        + layer(name, "Eltwise", f"{name}_1 {name}_3 {name}_4")
    ),
    "flat": plain("Flatten", "flatten_param { axis: 2 }"),
    "reshaped": plain("Reshape", "reshape_param { shape { dim: 0 dim: 5 dim: -1 } }"),
    "reshaped_tail": plain(
        "Reshape", "reshape_param { shape { dim: 5 dim: -1 } axis: -3 num_axes: 2 }"
    ),
    "softmax": plain("Softmax", "softmax_param { axis: -1 }"),
    "along": lambda name, x: layer(
        name, "InnerProduct", x, f"inner_product_param {{ num_output: 3 axis: 2 {FILLER} }}"
    ),
    "turned": lambda name, x: layer(
        name, "InnerProduct", x, f"inner_product_param {{ num_output: 3 transpose: true {FILLER} }}"
    ),
    "padded": plain("Padding", "padding_param { top_pad: 1 right_pad: 2 }"),
}


# What does not go through SystemDS' gradients, or has none.
UNTRAINED = ("threshold", "one")


def loaded(folder: Path, text: str) -> tuple[keras.Model, list[np.ndarray], np.ndarray]:
    """The model of a text with drawn blobs, Caffe's blobs that nothing takes, and an input."""
    read = network(folder, text)
    model, drawn = read.model(), blobs_for(read, folder / "drawn.caffemodel")
    weights.load(read.learned, folder / "drawn.caffemodel")
    x, layers = examples(model, 4), layers_of(folder)
    blobs = scored(layers, drawn, "data", x)
    taken = {name for one in layers for name in one.bottom}
    return model, [blob for name, blob in blobs.items() if name not in taken], x


def test_layers_are_caffes_arithmetic(tmp_path):
    text = DATA + "".join(branch(name, "data") for name, branch in BRANCHES.items())
    model, blobs, x = loaded(tmp_path, text)
    outputs = listed(model(x, training=False))
    assert len(outputs) == len(BRANCHES)
    for output, blob in zip(outputs, blobs, strict=True):
        near(output, blob, 1e-12)


FEW = ("lrn", "lrn_within", "norm/global", "prelu", "power", "weighted", "sliced")
PARTS = pytest.mark.parametrize(
    "names",
    [FEW, pytest.param((*BRANCHES,), marks=pytest.mark.long)],
    ids=["few", "all"],
)


@pytest.mark.spark
@pytest.mark.systemds
@PARTS
def test_layers_score_as_keras(spark, tmp_path, names):
    """By SystemDS and by ONNX, of rows that are dense, sparse, and of single precision."""
    text = DATA + "".join(BRANCHES[name](name, "data") for name in names)
    agrees(spark, loaded(tmp_path, text)[0], rows=3, sparse=len(names) > len(FEW))


@pytest.mark.spark
@pytest.mark.systemds
@PARTS
def test_layers_learn_as_keras(spark, tmp_path, names):
    """Each one after a convolution, so that gradients go through it and to its own blobs."""
    trained = [name for name in names if name not in UNTRAINED]
    text = DATA + layer("stem", "Convolution", "data", CONV.replace("3", "2", 1))
    text += "".join(BRANCHES[name](name, "stem") for name in trained)
    text += "".join(layer(f"{name}.flat", "Flatten", name) for name in trained)
    text += layer("all", "Concat", " ".join(f"{name}.flat" for name in trained))
    text += inner("ip", "all", 3) + layer("loss", "SoftmaxWithLoss", "ip label")
    ours = Caffe2DML(spark, written(tmp_path, text, TWO_STEPS), (2, 5, 4))
    model = ours.to_keras()
    x, y = examples(model, 8), np.arange(8) % 3
    ours.fit(x, y)
    for begin in (0, 4):
        model.train_on_batch(x[begin : begin + 4], y[begin : begin + 4])
    for end, weight in zip(ours.to_keras().get_weights(), model.get_weights(), strict=True):
        near(end, weight, 1e-8)


@pytest.mark.parametrize("global_stats", [False, True])
def test_statistics_of_a_batch_are_not_taken_in_parallel(global_stats):
    x = keras.Input((2, 3, 3))
    norm = CaffeBatchNorm(global_stats=global_stats, name="norm")(x)
    built = keras.Model(x, keras.layers.Flatten()(norm))
    built.compile("sgd", "mean_squared_error")
    split = Algorithm(train="allreduce", parallel=2)
    with nullcontext() if global_stats else pytest.raises(InvalidData, match="'norm' uses stat"):
        split.check_split(Compilation.of(built), batch_size=4, examples=8)
