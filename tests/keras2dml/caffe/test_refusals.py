"""Caffe files that are not compiled are refused, with all complaints about a file at once."""

from __future__ import annotations

import re

import pytest
from prototxt import DATA, LENET, SHAPE, inner, layer, network, written

from keras2dml import Caffe2DML, InvalidData, UnsupportedModel

REFUSED = {
    layer("a", "LSTM", "data"): "give a Keras LSTM to Keras2DML",
    layer("a", "Crop", "data"): "is not compiled: use one of AbsVal, BNLL",
    layer("a", "Python", "data", "python_param { module: 'm' }"): "runs a Python class of yours",
    layer("a", "ReLU", "nowhere"): "takes nowhere, which no layer before it produces",
    layer("a", "Eltwise", "data data", "eltwise_param { coeff: 1 }"): "1 coeff for 2 blobs",
    layer(
        "a", "Eltwise", "data data", "eltwise_param { operation: MAX coeff: 1 coeff: 1 }"
    ): "coeff",
    layer("a", "Pooling", "data", "pooling_param { pool: STOCHASTIC }"): "has pool: STOCHASTIC",
    layer(
        "a", "Pooling", "data", "pooling_param { kernel_size: 2 pad: 2 }"
    ): "pad at least as large",
    layer(
        "a", "Pooling", "data", "pooling_param { kernel_size: 9 }"
    ): "larger than its images of 7",
    layer("a", "BatchNorm", "data", 'param { name: "shared" }'): "has named blobs",
    layer("a", "Scale", "data", "scale_param { axis: 2 }"): "scales by another input or axis",
    layer("a", "Concat", "data data", "concat_param { axis: 0 }"): "give an axis from 1 to 3",
    layer("a", "Flatten", "data", "flatten_param { axis: 4 }"): "has axis: 4",
    layer("a", "Accuracy", "data", "accuracy_param { axis: 2 }"): "Classes must be axis 1",
    layer("a", "Accuracy", "data", "accuracy_param { ignore_label: 1 }"): "accuracy_param.ignore",
    layer("a", "LRN", "data", "lrn_param { local_size: 4 }"): "has local_size: 4. Give an odd",
    layer("a", "Slice", "data", "slice_param { slice_point: 1 slice_point: 1 }"): "has 1 tops",
    layer(
        "a", "Reshape", "data", "reshape_param { shape { dim: 1 dim: -1 } }"
    ): "begin with dim: 0",
    layer("a", "ReLU", "data", "loss_weight: 1"): "Only loss layers may have one",
    layer("a", "ReLU", "data", "propagate_down: false"): "has propagate_down: false",
    layer("a", "Dropout", "data", "phase: TEST"): "has a phase. It follows",
    layer("a", "EuclideanLoss", "data b", "", "c"): "takes b, which no layer before it produces",
    layer(
        "a", "SoftmaxWithLoss", "data label", "softmax_param { axis: 2 }"
    ): "Classes must be axis 1",
    layer("a", "SoftmaxWithLoss", "data label", "loss_param { ignore_label: 3 }"): "ignore_label",
    layer("a", "ContrastiveLoss", "data data label"): "must compare two rows",
    layer("a", "Convolution", "data", "convolution_param { num_output: 3 kernel_size: 9 }"): "fit",
    layer("a", "Convolution", "data", "convolution_param { num_output: 3 group: 2 }"): "divides",
    layer(
        "a",
        "InnerProduct",
        "data",
        'inner_product_param { num_output: 2 weight_filler { type: "x" } }',
    ): "has the filler 'x'",
}


def test_all_complaints_are_raised_together(tmp_path):
    renamed = [text.replace('"a"', f'"a{n}"') for n, text in enumerate(REFUSED)]
    with pytest.raises(UnsupportedModel) as refused:
        network(tmp_path, DATA + "".join(renamed))
    complaints = refused.value.complaints
    assert len(complaints) == len(REFUSED)
    for n, said in enumerate(REFUSED.values()):
        (about,) = [complaint for complaint in complaints if f"Layer 'a{n}' (" in complaint]
        assert said in about


def test_unknown_fields_are_reported_by_line_with_all_other_complaints(tmp_path):
    net = (
        layer("a", "ReLU", "data", "roi_param { size: 3 }")
        + layer("b", "Crop", "a")
        + layer("c", "LRN", "a", "lrn_param { locale: 5 size { a: 1 } }")
    )
    solver = written(tmp_path, DATA + net, 'learning: 1 lr_policy: "cyclic"')
    with pytest.raises(UnsupportedModel) as refused:
        Caffe2DML(None, solver, SHAPE)
    said = ["'learning'", "cyclic", "Line 2 of net.prototxt has 'roi_param'", "'locale'", "'size'"]
    for complaint, part in zip(refused.value.complaints, [*said, "(Crop) is not"], strict=True):
        assert part in complaint


SHARED = 'param { name: "w" } param { name: "b" }'
APART = {
    "TEST alone": layer("a", "TanH", "data", "include { phase: TEST }", top="data")
    + layer("b", "ReLU", "data"),
    "TRAIN alone": layer("a", "TanH", "data", "include { phase: TRAIN }", top="data")
    + layer("b", "ReLU", "data"),
    "batch statistics": layer(
        "a", "BatchNorm", "data", "batch_norm_param {use_global_stats: false}"
    ),
    "half shared": inner("a", "data", 3, SHARED)
    + inner("b", "data", 3, 'param { name: "w" } param { name: "c" }'),
    "other rates": inner("a", "data", 3, SHARED)
    + inner("b", "data", 3, 'param { name: "w" lr_mult: 3 } param { name: "b" }'),
    "other sizes": inner("a", "data", 3, SHARED) + inner("b", "data", 4, SHARED),
    "one name": inner("a", "data", 3) + inner("a", "data", 4, top="b"),
    "a computed target": inner("a", "data", 3)
    + inner("b", "data", 3)
    + layer("c", "EuclideanLoss", "a b"),
    "a loss for a blob": inner("a", "data", 3)
    + layer("b", "EuclideanLoss", "a label")
    + layer("c", "ReLU", "b"),
    "one blob twice": inner("a", "data", 3)
    + layer("b", "EuclideanLoss", "a label")
    + layer("c", "EuclideanLoss", "a label"),
}
SAID = (
    "Layer 'a' (TanH) is not the same in the TEST phase",
    "Layer 'b' (ReLU) is not the same in the TEST phase",
    "use_global_stats: false in the TEST phase",
    "shares some of its blobs with Layer 'a'",
    "but has other settings",
    "but has other settings",
    "has the same name as another layer with weights",
    "learns from 'b', which is computed",
    "takes 'b', which is a loss",
    "two losses of one blob",
)


@pytest.mark.parametrize(("net", "said"), list(zip(APART.values(), SAID, strict=True)), ids=APART)
def test_inconsistent_layers_are_refused(tmp_path, net, said):
    with pytest.raises(UnsupportedModel, match=re.escape(said)) as refused:
        network(tmp_path, net)
    assert len(refused.value.complaints) == 1


SIZES = 'top: "data" top: "label" }\n'
PROVIDED = {
    f'layer {{ name: "d" type: "Data" transform_param {{ crop_size: 6 }} {SIZES}': "(any, 6, 6)",
    f'layer {{ name: "d" type: "MemoryData" memory_data_param {{ width: 1 }} {SIZES}': "(0, 0, 1)",
    'input: "data" input_dim: 1 input_dim: 2 input_dim: 7 input_dim: 6\n': "provides (2, 7, 6)",
    f'layer {{ name: "d" type: "Input" input_param {{ shape {{ dim: 1 dim: 3 }} }} {SIZES}': "(3)",
}


@pytest.mark.parametrize(("data", "said"), list(PROVIDED.items()))
def test_input_shape_must_agree_with_the_data_layer(tmp_path, data, said):
    with pytest.raises(UnsupportedModel, match=re.escape(said)) as refused:
        network(tmp_path, data + layer("a", "ReLU", "data"))
    assert "input_shape is (2, 7, 5): make them agree" in str(refused.value)


def test_a_network_has_one_input(tmp_path):
    net = 'input: "data" input: "more"\n' + layer("a", "Concat", "data more")
    with pytest.raises(UnsupportedModel, match=r"takes data, more from its data layers") as refused:
        network(tmp_path, net)
    assert len(refused.value.complaints) == 1


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        ('type: "Adamax"', "type is 'Adamax': use one of SGD, Nesterov"),
        ("solver_type: ADAM type: 'Adam'", "a type and the old solver_type"),
        ('lr_policy: "cyclic"', "lr_policy is 'cyclic': use one of fixed, step"),
        ("clip_gradients: 1 weight_decay: 0.1", "Caffe clips before weight decay"),
        ('type: "RMSProp" momentum: 0.9', "momentum, which RMSProp does not use"),
        ('regularization_type: "L3"', "use L1 or L2"),
    ],
)
def test_solvers_are_refused(tmp_path, solver, said):
    with pytest.raises(UnsupportedModel, match=re.escape(said)):
        Caffe2DML(None, written(tmp_path, LENET, solver), SHAPE)


def test_the_oldest_layers_are_refused(tmp_path):
    oldest = 'layers { layer { name: "conv" type: "conv" kernelsize: 3 } bottom: "data" top: "a" }'
    with pytest.raises(UnsupportedModel, match="Caffe's oldest form") as refused:
        network(tmp_path, DATA + oldest)
    assert "kernelsize" not in str(refused.value)


def test_missing_and_malformed_files_are_refused(tmp_path):
    with pytest.raises(InvalidData, match="cannot be read"):
        Caffe2DML(None, tmp_path / "solver.prototxt", SHAPE)
    (tmp_path / "solver.prototxt").write_text("base_lr: 0.1")
    with pytest.raises(InvalidData, match="has no net: give a solver"):
        Caffe2DML(None, tmp_path / "solver.prototxt", SHAPE)
    with pytest.raises(InvalidData, match="has net and net_param"):
        Caffe2DML(None, written(tmp_path, LENET, "net_param { }"), SHAPE)
    with pytest.raises(InvalidData, match=r"net.prototxt cannot be parsed: 1:\d+ "):
        Caffe2DML(None, written(tmp_path, "layer { name: "), SHAPE)
