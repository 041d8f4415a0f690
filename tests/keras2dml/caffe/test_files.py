"""How Caffe's files are read: their older forms, phases, names, data layers, fields that are left
out of account, and weights.
"""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from caffe_arithmetic import local_response, local_response_within, scored
from google.protobuf import text_format
from oracle import examples, near
from prototxt import CONV, DATA, LENET, SHAPE, blobs_for, inner, layer, layers_of, network, written

from keras2dml import InvalidData, UnsupportedModel
from keras2dml.caffe import schema, weights
from keras2dml.caffe.estimator import load_weights, read, warn_of_transforms
from keras2dml.caffe.fillers import SparseNormal, filled
from keras2dml.caffe.layers.local_response import CaffeLRN
from keras2dml.compilation import Compilation

OLD = """
name: "old" input: "data" input_dim: 1 input_dim: 2 input_dim: 7 input_dim: 5
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 3 kernel_size: 3 } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { name: "norm" type: LRN bottom: "conv" top: "norm" lrn_param { local_size: 3 } }
layers { name: "pool" type: POOLING bottom: "norm" top: "pool" pooling_param { global_pooling: 1 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip"
  inner_product_param { num_output: 4 } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""


def test_old_layers_are_upgraded_with_their_weights(tmp_path):
    described, made = read(written(tmp_path, OLD, "weight_decay: 0.5"), SHAPE)
    kinds = [one.type for one in layers_of(tmp_path)]
    assert kinds == ["Input", "Convolution", "ReLU", "LRN", "Pooling", "InnerProduct", "Softmax"]
    assert made.factors == {"conv/bias": 2.0}
    conv = made.model().get_layer("conv")
    assert (conv.kernel_regularizer.l2, conv.bias_regularizer) == (0.25, None)
    assert described.decay(0.0) is None
    drawn = blobs_for(made, tmp_path / "new.caffemodel")
    net, old = schema.weights(tmp_path / "new.caffemodel"), schema.message("Net")()
    for one in net.layer:
        old.layers.add(name=one.name).blobs.extend(one.blobs)
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    weights.load(made.learned, tmp_path / "old.caffemodel")
    model = made.model()
    x = examples(model, 3)
    blob = scored(layers_of(tmp_path), drawn, "data", x)["prob"]
    near(np.asarray(model(x)), blob, 1e-12)


HARMLESS = """
snapshot: 10 snapshot_prefix: "x" snapshot_format: HDF5 snapshot_diff: true
snapshot_after_train: false test_initialization: false test_compute_loss: true average_loss: 5
debug_info: true device_id: 1 layer_wise_reduce: false solver_mode: CPU display: 7
test_interval: 50 test_iter: 9 test_iter: 4 test_state { stage: "a" } test_state { stage: "b" }
solver_type: NESTEROV momentum: 0.9 iter_size: 4 clip_gradients: 2 base_lr: 0.1
"""


def test_fields_of_solvers_that_change_nothing_are_accepted(tmp_path):
    described, made = read(written(tmp_path, LENET, HARMLESS), SHAPE)
    assert (described.type, described.test_iter) == ("Nesterov", 4)
    optimizer = described.optimizer(made.factors)
    assert optimizer.nesterov
    # Caffe clips the sum of the four gradients, Keras their mean.
    assert optimizer.global_clipnorm == 0.5


@pytest.mark.parametrize("field", ["net_param", "train_net_param"])
def test_a_network_may_be_in_the_solver(tmp_path, field):
    (tmp_path / "solver.prototxt").write_text(f'{field} {{ name: "inside" {LENET} }}')
    assert read(tmp_path / "solver.prototxt", SHAPE)[1].name == "inside"


def test_train_and_test_networks_may_be_files_of_their_own(tmp_path):
    (tmp_path / "train.prototxt").write_text(LENET)
    (tmp_path / "other.prototxt").write_text(LENET.replace("num_output: 5", "num_output: 6"))
    solver = tmp_path / "solver.prototxt"
    solver.write_text('train_net: "train.prototxt" test_net: "train.prototxt" test_net: "away"')
    assert read(solver, SHAPE)[1].heads
    solver.write_text('train_net: "train.prototxt" test_net: "other.prototxt"')
    with pytest.raises(UnsupportedModel, match="not the same in the TEST phase") as refused:
        read(solver, SHAPE)
    assert re.findall(r"Layer '(\w+)'", str(refused.value)) == ["ip1"]


PHASES = {
    "include { phase: TRAIN }": True,
    "include { phase: TEST }": False,
    'include { phase: TRAIN stage: "x" }': False,
    'include { stage: "a" } include { stage: "x" }': True,
    'include { phase: TRAIN not_stage: "a" }': False,
    "include { min_level: 1 max_level: 3 }": True,
    "include { min_level: 3 }": False,
    "exclude { phase: TEST }": True,
    'exclude { max_level: 2 stage: "a" stage: "b" }': False,
}


@pytest.mark.parametrize(("rule", "there"), list(PHASES.items()))
def test_layers_are_there_by_phase_level_and_stage(tmp_path, rule, there):
    net = DATA + inner("ip", "data", 3) + layer("more", "Softmax", "ip", rule)
    state = 'state { stage: "a" }'
    solver = written(tmp_path, f"{state} {net}", 'train_state { level: 2 stage: "b" }')
    assert ("more" in read(solver, SHAPE)[1].blobs) is there


def test_phases_may_differ_where_scores_are_the_same(tmp_path):
    train, test = "include { phase: TRAIN }", "include { phase: TEST }"
    net = (
        DATA.replace("data_param", f"{train} data_param")
        + DATA.replace('name: "data"', f'name: "other" {test}')
        + inner("ip", "data", 3)
        + layer("drop", "Dropout", "ip", train, top="ip")
        + layer(
            "norm", "BatchNorm", "ip", f"{train} batch_norm_param {{ use_global_stats: false }}"
        )
        + layer("norm", "BatchNorm", "ip", f"{test} batch_norm_param {{ use_global_stats: true }}")
        + layer("aux", "InnerProduct", "ip", f"{train} inner_product_param {{ num_output: 2 }}")
        + layer("auxloss", "SoftmaxWithLoss", "aux label", train)
        + layer("loss", "SoftmaxWithLoss", "norm label", train)
        + layer("prob", "Softmax", "norm", test)
    )
    made = read(written(tmp_path, net), SHAPE)[1]
    assert len(made.heads) == 2
    assert not made.model().get_layer("norm").global_stats


def test_names_become_those_of_keras(tmp_path):
    net = (
        inner("a/b", "data", 3)
        + inner("a_b", "a/b", 3)
        + layer("a/b", "ReLU", "a_b", top="a_b")
        + layer("", "Sigmoid", "a_b", top="s p")
        + layer("_2 é", "Softmax", "s", top="z")
    )
    made = network(tmp_path, net)
    names = [one.name for one in made.model().layers if not one.name.endswith(("data", "flat"))]
    assert names == ["a_b", "a_b_2", "a_b_3", "Sigmoid", "layer__2__"]
    assert list(made.learned) == ["a/b", "a_b"]


SYSTEMMLS = """
layer { name: "mnist" type: "Data" top: "data" top: "label" data_param { batch_size: 32 } }
layer { name: "conv1" type: "Convolution" bottom: "mnist" top: "first"
  convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv1" top: "ip"
  inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_systemmls_networks_name_layers_where_they_mean_their_tops(tmp_path):
    made = read(written(tmp_path, SYSTEMMLS), (1, 28, 28))[1]
    assert [one.name for one in made.model().layers] == ["data", "conv1", "ip_flat", "ip", "loss"]
    assert (made.source.batch_size, made.heads[0].target) == (32, "label")


BATCHES = {
    'HDF5Data" hdf5_data_param { source: "x" batch_size: 10 shuffle: true }': 10,
    'ImageData" image_data_param { source: "x" batch_size: 20 new_height: 7 new_width: 5 }': 20,
    'WindowData" window_data_param { batch_size: 30 fg_fraction: 0.5 crop_mode: "square" }': 30,
    'MemoryData" memory_data_param { batch_size: 40 channels: 2 height: 7 width: 5 }': 40,
    'DummyData" dummy_data_param { num: 5 channels: 2 height: 7 width: 5 }': 0,
    'Data" data_param { source: "x" backend: LMDB batch_size: 50 rand_skip: 3 prefetch: 2 }': 50,
}


@pytest.mark.parametrize(("kind", "size"), list(BATCHES.items()))
def test_every_data_layer_brings_examples_and_labels(tmp_path, kind, size):
    data = f'layer {{ name: "d" top: "label" top: "images" type: "{kind} }}\n'
    net = inner("ip", "images", 3) + layer("loss", "SoftmaxWithLoss", "ip label")
    source = read(written(tmp_path, data + net), SHAPE)[1].source
    assert (source.batch_size, source.labels, source.transforms) == (size, ["label"], [])
    assert source.tensor.shape == (None, *SHAPE)


def test_a_warning_tells_what_the_data_layer_does_to_examples(tmp_path):
    transforms = "scale: 0.5 mirror: true crop_size: 0 mean_value: 104 mean_value: 117.5"
    data = DATA.replace("data_param", f"transform_param {{ {transforms} }} data_param")
    made = read(written(tmp_path, data + inner("ip", "data", 3)), SHAPE)[1]
    with pytest.warns(UserWarning, match="scale 0.5; mirror; mean_value 104, 117.5. X must be the"):
        warn_of_transforms(made)
    older = DATA.replace("batch_size: 4", "batch_size: 4 scale: 0.25 crop_size: 5")
    square = read(written(tmp_path, older + inner("ip", "data", 3)), (2, 5, 5))[1]
    assert square.source.transforms == ["scale 0.25", "crop_size 5"]


def test_a_solver_names_weights_to_begin_with(tmp_path):
    net = DATA + inner("old", "data", 4) + inner("new", "old", 3)
    described, made = read(written(tmp_path, net, 'weights: "old.caffemodel"'), SHAPE)
    kept = {"old": made.learned["old"]}
    made.learned, fresh = kept, made.learned
    drawn = blobs_for(made, tmp_path / "old.caffemodel")
    made.learned = fresh
    with pytest.warns(UserWarning, match="has no blobs for new: they start from their fillers"):
        load_weights(made, described, None)
    near(np.asarray(fresh["old"][0].variable).T, drawn["old"][0], 1e-12)
    with pytest.raises(InvalidData, match="has no blobs for new: give weights of this network"):
        load_weights(made, described, tmp_path / "old.caffemodel")


def test_shared_blobs_are_one_variable(tmp_path):
    both = 'param { name: "w" lr_mult: 3 } param { name: "b" }'
    net = layer("one", "Convolution", "data", f"{CONV} {both}")
    net += layer("two", "Convolution", "data", f"{CONV} {both}")
    net += layer("sum", "Eltwise", "one two")
    made = network(tmp_path, net)
    assert len(made.model().weights) == 2
    assert made.factors == {"one/kernel": 3.0}
    drawn = blobs_for(made, tmp_path / "drawn.caffemodel")
    weights.load(made.learned, tmp_path / "drawn.caffemodel")
    x = examples(made.model(), 2)
    blob = scored(layers_of(tmp_path), drawn, "data", x)["sum"]
    near(np.asarray(made.model()(x)), blob, 1e-12)


@pytest.mark.parametrize(
    ("text", "shape", "deviation"),
    [
        ('type: "xavier"', (40, 30), np.sqrt(1 / 30)),
        ('type: "xavier" variance_norm: FAN_OUT', (40, 30), np.sqrt(1 / 40)),
        ('type: "msra" variance_norm: AVERAGE', (40, 30), np.sqrt(2 / 35)),
        ('type: "msra"', (40, 6, 5, 1), np.sqrt(2 / 30)),
        ('type: "gaussian" std: 2 sparse: 10', (40, 30), 2 * np.sqrt(10 / 40)),
    ],
)
def test_fillers_have_caffes_variance(text, shape, deviation):
    filler = text_format.Parse(text, schema.message("Filler")())
    initializer = filled(None, filler, shape)
    drawn = np.asarray(initializer((300, 400), "float64"))
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    if isinstance(initializer, SparseNormal):
        assert (drawn != 0).mean() == pytest.approx(0.25, rel=0.05)
        assert SparseNormal(**initializer.get_config()).share == initializer.share


@pytest.mark.parametrize("within", [False, True])
def test_the_gradient_of_lrn_is_that_of_its_formula(within):
    """By differences of the formula in NumPy."""
    import tensorflow as tf

    size, alpha, beta, k = 3, 0.8, 0.75, 1.0 if within else 2.0
    generator = np.random.default_rng(4)
    x, slope = generator.normal(size=(2, 1, 4, 3, 3))

    def value(at):
        out = (
            local_response_within(at, size, alpha, beta)
            if within
            else local_response(at, size, alpha, beta, k)
        )
        return (out * slope).sum()

    variable, lrn = tf.Variable(x), CaffeLRN(size, alpha, beta, k, within)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(lrn(variable) * slope)
    near(total.numpy(), value(x), 1e-12)
    step = 1e-5
    differences = [
        (value(x + step * one) - value(x - step * one)) / (2 * step)
        for one in np.eye(x.size).reshape(-1, *x.shape)
    ]
    gradient = tape.gradient(total, variable).numpy()
    near(gradient, np.array(differences).reshape(x.shape), 1e-8)


def test_sequences_have_systemmls_shapes():
    rnn = keras.Sequential([keras.Input((5, 3)), keras.layers.SimpleRNN(2), keras.layers.Dense(2)])
    for shape in ((5, 3), (5, 3, 1)):
        Compilation.of(rnn, input_shape=shape)
    for shape in ((5, 3, 2), (3, 5, 1), (15,), (1, 5, 3)):
        with pytest.raises(InvalidData, match="the model takes"):
            Compilation.of(rnn, input_shape=shape)
