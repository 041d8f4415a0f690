"""Caffe's networks and solvers; the oracle is NumPy, and for whole networks their Keras model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from caffe_arithmetic import windows
from oracle import examples, near
from prototxt import CONV, DATA, LENET, MULTIPLIED, SHAPE, inner, layer, network, written

from keras2dml import Caffe2DML, InvalidData
from keras2dml.caffe import schema
from keras2dml.caffe.optimizers import Policy


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (3, 3, 2), (2, 3, 1)])
def test_pooling_takes_caffes_windows(tmp_path, pool, kernel, stride, pad):
    own = f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    built = network(tmp_path, layer("pool", "Pooling", "data", own)).model()
    x = examples(built, 3)
    near(np.asarray(built(x)), windows(x, kernel, stride, pad, mean=pool == "AVE"), 1e-12)


def test_batch_norm_keeps_caffes_statistics(tmp_path):
    own = "batch_norm_param { moving_average_fraction: 0.9 }"
    built = network(tmp_path, layer("norm", "BatchNorm", "data", own)).model()
    x = examples(built, 3)
    made = np.asarray(built(x, training=True))
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    near(made, (x - mean.reshape(-1, 1, 1)) / np.sqrt(variance.reshape(-1, 1, 1) + 1e-5), 1e-9)
    count = x.size / x.shape[1]
    kept = [weight.numpy() for weight in built.weights]
    near(kept[0], mean, 1e-9)
    near(kept[1], variance * count / (count - 1), 1e-9)
    assert kept[2] == [1.0]
    built(x, training=True)
    near(built.weights[2].numpy(), np.array([1.9]), 1e-12)


EVERY = [
    layer("up", "Upsample", "data", "upsample_param { size_h: 2 size_w: 3 }")
    + layer("pad", "Padding", "up", "padding_param { top_pad: 1 right_pad: 2 }")
    + layer("pool", "Pooling", "pad", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }")
    + layer("global", "Pooling", "pool", "pooling_param { pool: MAX global_pooling: true }")
    + inner("ip", "global", 3)
    + layer("loss", "SoftmaxWithLoss", "ip label"),
    layer("conv", "Convolution", "data", CONV)
    + layer("norm", "BatchNorm", "conv")
    + layer("scale", "Scale", "norm", f"scale_param {{ bias_term: true }} {MULTIPLIED}")
    + layer("max", "Eltwise", "scale conv", "eltwise_param { operation: MAX }")
    + layer("prod", "Eltwise", "max conv", "eltwise_param { operation: PROD }")
    + layer("sum", "Eltwise", "prod conv")
    + layer("sigmoid", "Sigmoid", "sum")
    + layer("both", "Concat", "sigmoid data")
    + layer(
        "pool", "Pooling", "both", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }"
    )
    + layer("flat", "Flatten", "pool")
    + layer("drop", "Dropout", "flat", "dropout_param { dropout_ratio: 0 }")
    + inner("ip", "drop", 3)
    + layer("loss", "EuclideanLoss", "ip label", "loss_weight: 0.5"),
]
SOLVERS = {
    "sgd": 'type: "SGD" momentum: 0.9 lr_policy: "inv" gamma: 0.1 power: 0.75 weight_decay: 0.05',
    "nesterov": 'type: "Nesterov" momentum: 0.9 weight_decay: 0.01 regularization_type: "L1"',
    "adam": 'type: "Adam" momentum: 0.9 momentum2: 0.99 lr_policy: "step" gamma: 0.5 stepsize: 2',
    "adagrad": 'type: "AdaGrad" delta: 0.001 clip_gradients: 0.5',
    "rmsprop": 'type: "RMSProp" rms_decay: 0.9 delta: 0.01',
    "adadelta": 'type: "AdaDelta" momentum: 0.9 delta: 0.001 iter_size: 2',
}
CASES = [(LENET, solver) for solver in SOLVERS.values()] + [
    (DATA + net, SOLVERS["sgd"]) for net in EVERY
]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(("net", "solver"), CASES)
def test_a_network_scores_and_learns_as_its_keras_model(spark, tmp_path, net, solver):
    path = written(tmp_path, net, f"base_lr: 0.1 max_iter: 2 display: 0 {solver}")
    ours = Caffe2DML(spark, path, SHAPE)
    built = ours.to_keras()
    built.run_eagerly = True
    x = examples(built, 7)
    y = np.arange(7) % 4 if "SoftmaxWithLoss" in net else np.ones((7, 3)) * 0.5
    if net is not LENET and "SoftmaxWithLoss" in net:
        y = y % 3
    ours.fit(x, y)
    for step in range(ours.max_iter):
        part = slice(step % 2 * 4, step % 2 * 4 + 4)
        loss = np.ravel(built.train_on_batch(x[part], y[part]))[0]
        near(np.array(ours.iterations[step].loss), loss, 1e-6)
    for found, wanted in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, wanted, 1e-8)
    near(ours.predict_proba(x.reshape(7, -1)), built.predict(x, verbose=0), 1e-8)


RULES = {
    "sgd": lambda g, s, k: (s.update(v=0.9 * s.get("v", 0) + k * g), s["v"])[1],
    "adagrad": lambda g, s, k: (
        s.update(h=s.get("h", 0) + g**2),
        k * g / (np.sqrt(s["h"]) + 0.001),
    )[1],
    "rmsprop": lambda g, s, k: (
        s.update(h=0.9 * s.get("h", 0) + 0.1 * g**2),
        k * g / (np.sqrt(s["h"]) + 0.01),
    )[1],
}


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("kind", RULES)
def test_steps_are_those_of_caffe(spark, tmp_path, kind):
    """Written out: the gradient of softmax, decay by blob, the local learning rate."""
    net = DATA + inner("ip", "data", 3, MULTIPLIED) + layer("loss", "SoftmaxWithLoss", "ip label")
    solver = SOLVERS[kind].replace("clip_gradients: 0.5", "")
    path = written(tmp_path, net, f"base_lr: 0.1 max_iter: 3 display: 0 {solver}")
    ours = Caffe2DML(spark, path, (2, 2, 1))
    built = ours.to_keras()
    weight, bias = built.get_weights()
    x, y = examples(built, 4).reshape(4, -1), np.arange(4) % 3
    states: tuple[dict, dict] = ({}, {})
    for step in range(3):
        rate = 0.1 * (1 + 0.1 * step) ** -0.75 if kind == "sgd" else 0.1
        scores = np.exp(x @ weight + bias)
        error = (scores / scores.sum(1, keepdims=True) - np.eye(3)[y]) / 4
        decay = 0.05 if kind == "sgd" else 0.0
        weight = weight - RULES[kind](x.T @ error + decay * weight, states[0], rate)
        bias = bias - RULES[kind](error.sum(0), states[1], 2 * rate)
    ours.fit(x, y)
    for found, wanted in zip(ours.to_keras().get_weights(), (weight, bias), strict=True):
        near(found, wanted, 1e-8)


@pytest.mark.spark
@pytest.mark.systemds
def test_weights_come_from_a_caffemodel(spark, tmp_path):
    message = schema.message("Net")()
    generator = np.random.default_rng(2)
    blobs = {
        "conv1": [(3, 2, 3, 3), (3,)],
        "ip1": [(5, 36), (5,)],
        "ip2": [(4, 5), (4,)],
    }
    drawn = {}
    for name, shapes in blobs.items():
        added = message.layer.add(name=name)
        drawn[name] = [np.float32(generator.normal(0, 0.3, shape)) for shape in shapes]
        for array in drawn[name]:
            blob = added.blobs.add(data=array.ravel())
            blob.shape.dim.extend(array.shape)
    (tmp_path / "lenet.caffemodel").write_bytes(message.SerializeToString())
    ours = Caffe2DML(spark, written(tmp_path, LENET), SHAPE, tmp_path / "lenet.caffemodel")
    x = examples(ours.keras_model, 3)
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    view = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(2, 3))
    (kernel, conv_bias), (one, one_bias), (two, two_bias) = drawn.values()
    image = np.einsum("nchwij,fcij->nfhw", view, kernel) + conv_bias.reshape(-1, 1, 1)
    pooled = windows(image, 2, 2, 0, mean=False)
    flat = np.where(pooled > 0, pooled, 0.1 * pooled).reshape(3, -1)
    scores = np.exp(np.tanh(flat @ one.T + one_bias) @ two.T + two_bias)
    near(ours.predict_proba(x), scores / scores.sum(1, keepdims=True), 1e-7)
    message.layer[0].blobs.pop()
    (tmp_path / "lenet.caffemodel").write_bytes(message.SerializeToString())
    with pytest.raises(
        InvalidData, match=r"blobs of .* numbers for 'conv1', but the network needs"
    ):
        Caffe2DML(spark, tmp_path / "solver.prototxt", SHAPE, tmp_path / "lenet.caffemodel")


@pytest.mark.parametrize(
    ("policy", "rates"),
    [
        ({"policy": "fixed"}, [0.5] * 4),
        ({"policy": "step", "gamma": 0.1, "step": 2}, [0.5, 0.5, 0.05, 0.05]),
        ({"policy": "exp", "gamma": 0.5}, [0.5, 0.25, 0.125, 0.0625]),
        ({"policy": "multistep", "gamma": 0.1, "steps": (1, 3)}, [0.5, 0.05, 0.05, 0.005]),
        ({"policy": "poly", "power": 2.0, "last": 4}, [0.5, 0.5 * 0.75**2, 0.125, 0.03125]),
        (
            {"policy": "sigmoid", "gamma": 2.0, "step": 2},
            [0.5 / (1 + np.exp(-2.0 * (i - 2))) for i in range(4)],
        ),
        ({"policy": "exp", "gamma": 0.5, "each": 2}, [0.5, 0.5, 0.25, 0.25]),
    ],
)
def test_learning_rates_follow_the_policy(policy, rates):
    made = Policy(base=0.5, **policy)
    assert [float(made(step)) for step in range(4)] == pytest.approx(rates, rel=1e-12)
    again = Policy.from_config(made.get_config())
    assert [float(again(keras.Variable(step))) for step in range(4)] == pytest.approx(rates)
