"""Caffe's losses: what they make of y, and what SystemDS learns by them; Keras is the oracle."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from oracle import examples, listed, near
from prototxt import DATA, inner, layer, network, written

from keras2dml import Caffe2DML, InvalidData
from keras2dml.caffe.estimator import objective
from keras2dml.caffe.layers.contrastive import contrastive

SOLVER = 'type: "SGD" base_lr: 0.1 momentum: 0.9 max_iter: 2 display: 0'
SHAPE = (2, 3, 2)
TOWER = 'param { name: "w" } param { name: "b" lr_mult: 2 }'
BY_EXAMPLE = "loss_param { normalize: false }"
HEADS = (
    layer("conv", "Convolution", "data", "convolution_param { num_output: 3 kernel_size: 2 }")
    + layer("aux/loss", "SoftmaxWithLoss", "conv mask", f"loss_weight: 0.25 {BY_EXAMPLE}")
    + layer("pool", "Pooling", "conv", "pooling_param { pool: AVE global_pooling: true }")
    + layer("loss", "SoftmaxWithLoss", "pool label", "loss_param { normalization: NONE }")
)
OWN_INPUT = (
    layer("flat", "Flatten", "data")
    + inner("code", "data", 4)
    + layer("bend", "Sigmoid", "code")
    + inner("decode", "bend", 12)
    + layer("cross", "SigmoidCrossEntropyLoss", "decode flat")
    + layer("again", "Sigmoid", "decode")
    + layer("square", "EuclideanLoss", "again flat", "loss_weight: 0")
)
PAIRS = (
    layer("cut", "Slice", "data", "slice_param { slice_dim: 1 slice_point: 1 }", "one two")
    + inner("feat", "one", 2, TOWER)
    + inner("feat_p", "two", 2, TOWER)
    + layer("loss", "ContrastiveLoss", "feat feat_p label", "contrastive_loss_param { margin: 2 }")
)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("net", [HEADS, OWN_INPUT, PAIRS], ids=["heads", "own input", "pairs"])
def test_losses_are_learned_as_by_keras(spark, tmp_path, net):
    data = DATA.replace('top: "label"', 'top: "mask" top: "label"') if net is HEADS else DATA
    ours = Caffe2DML(spark, written(tmp_path, data + net, SOLVER), SHAPE)
    model = ours.to_keras()
    model.run_eagerly = True
    x = np.abs(examples(model, 8)) / 4
    labels, masks = np.arange(8) % 3, np.arange(16).reshape(8, 2, 1) % 3
    y, targets = {
        HEADS: ([masks, labels], [masks, labels]),
        OWN_INPUT: (None, [x.reshape(8, -1)]),
        PAIRS: (labels % 2, [labels % 2]),
    }[net]
    ours.fit(x, y)
    for step, begin in enumerate((0, 4)):
        part = slice(begin, begin + 4)
        model.reset_metrics()
        measured = model.train_on_batch(x[part], [one[part] for one in targets], return_dict=True)
        near(np.array(ours.iterations[step].loss), np.array(measured["loss"]), 1e-6)
    for trained, weight in zip(ours.to_keras().get_weights(), model.get_weights(), strict=True):
        near(trained, weight, 1e-8)
    for scores, output in zip(listed(ours.predict_proba(x)), listed(model(x)), strict=True):
        near(scores, output, 1e-8)
    assert isinstance(ours.score(x, y), float)


def test_several_losses_have_weights_metrics_and_labels(tmp_path):
    data = DATA.replace('top: "label"', 'top: "mask" top: "label"')
    read = network(tmp_path, data + HEADS, SHAPE)
    aux, main = read.heads
    assert (aux.weight, aux.target, aux.output.shape) == (0.25 * 2, "mask", (None, 2, 1, 3))
    assert (main.weight, main.target, main.output.shape) == (1.0, "label", (None, 3))
    assert (aux.loss.reduction, main.loss.reduction) == ("sum_over_batch_size", "sum")
    ours = Caffe2DML.__new__(Caffe2DML)
    ours._network = read
    assert ours._labels(None, [1, 2]) == [1, 2]
    with pytest.raises(InvalidData, match="learn from mask, label: give y as a list of these"):
        ours._labels(None, 1)
    top = layer(
        "top", "Accuracy", "pool label", "include { phase: TEST } accuracy_param { top_k: 2 }"
    )
    ours._network = network(tmp_path, DATA + HEADS.replace("mask", "label") + top, SHAPE)
    assert ours._labels(None, 1) == [1, 1]
    first, second = objective(ours._network)["metrics"]
    assert (first, second[0], second[1].name) == (["accuracy"], "accuracy", "top_2_accuracy")


@pytest.mark.parametrize("legacy", [False, True])
def test_the_contrastive_loss_has_caffes_gradient(legacy):
    """Of pairs that are alike, apart within the margin, and beyond it, by the documented sums."""
    margin, alike = 1.5, np.array([1.0, 0.0, 0.0, 2.0])
    left = np.array([[0.5, 1.0], [0.25, 0.5], [3.0, -2.0], [1.0, 1.0]])
    right = np.array([[1.5, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    difference = left - right
    distance = np.sqrt((difference**2).sum(1))
    lack = np.maximum(margin - (distance**2 if legacy else distance), 0)
    loss = np.where(alike >= 1, distance**2, lack if legacy else lack**2).sum() / 4 / 2
    factor = -1.0 * (lack > 0) if legacy else -lack / (distance + 1e-4)
    gradient = np.where(alike >= 1, 1, factor)[:, None] * difference / 4

    import tensorflow as tf

    with tf.GradientTape() as tape:
        features = tf.Variable(left)
        squares = tf.reduce_sum((features - right) ** 2, axis=1, keepdims=True)
        value = tf.reduce_mean(contrastive(alike[:, None], squares, margin, legacy))
    near(value.numpy(), loss, 1e-12)
    near(tape.gradient(value, features).numpy(), gradient, 1e-12)


def test_a_network_without_a_loss_scores_and_is_not_trained(tmp_path):
    net = inner("ip", "data", 3)
    ours = Caffe2DML.__new__(Caffe2DML)
    ours._network = network(tmp_path, net, SHAPE)
    with pytest.raises(InvalidData, match=re.escape("has no loss layer, so it cannot be trained")):
        ours.fit(None)
    ends = network(tmp_path, net + inner("more", "data", 4) + layer("p", "Softmax", "more"), SHAPE)
    assert [output.shape for output in ends.outputs] == [(None, 3), (None, 4)]
    assert [output is ends.classes[0] for output in ends.outputs] == [False, True]


def test_probabilities_of_images_lie_along_the_last_axis(tmp_path):
    conv = "convolution_param { num_output: 3 kernel_size: 2 }"
    net = layer("conv", "Convolution", "data", conv) + layer("p", "Softmax", "conv")
    assert network(tmp_path, net, SHAPE).outputs[0].shape == (None, 2, 1, 3)
    whole = net.replace("kernel_size: 2", "kernel_h: 3 kernel_w: 2")
    assert network(tmp_path, whole, SHAPE).outputs[0].shape == (None, 3)


def test_own_input_takes_no_y(tmp_path):
    ours = Caffe2DML.__new__(Caffe2DML)
    ours._network = network(tmp_path, OWN_INPUT, SHAPE)
    with pytest.raises(InvalidData, match="learns its input: leave y out"):
        ours._labels(np.zeros((2, *SHAPE)), np.zeros(2))
    assert isinstance(ours._network.heads[0].loss, keras.losses.BinaryCrossentropy)
    assert ours._network.heads[0].weight == 12
