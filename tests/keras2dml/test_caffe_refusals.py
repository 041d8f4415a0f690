"""What of Caffe is not compiled, and what is said of it."""

from __future__ import annotations

import re

import pytest
from prototxt import DATA, LENET, SHAPE, layer, network, written

from keras2dml import Caffe2DML, InvalidData, UnsupportedModel

REFUSED = {
    layer("a", "LRN", "data"): "Layer 'a' (LRN) is not compiled: use BatchNorm and Scale",
    layer("a", "LSTM", "data"): "give a Keras LSTM to Keras2DML",
    layer("a", "Crop", "data"): "is not compiled: Compiled are BatchNorm, Concat",
    layer("a", "ReLU", "nowhere"): "takes nowhere, which no layer before it makes",
    layer("a", "Eltwise", "data data", "eltwise_param { coeff: 1 coeff: -1 }"): "has coeff",
    layer("a", "Pooling", "data", "pooling_param { pool: STOCHASTIC }"): "has pool: STOCHASTIC",
    layer("a", "Pooling", "data", "pooling_param { kernel_size: 2 pad: 2 }"): "pad as large",
    layer("a", "BatchNorm", "data", "batch_norm_param { use_global_stats: true }"): "use_global",
    layer("a", "Scale", "data", "scale_param { axis: 2 }"): "scales by another input or axis",
    layer("a", "Concat", "data data", "concat_param { axis: 0 }"): "has axis: 0, the examples",
    layer("a", "Flatten", "data", "flatten_param { axis: 2 }"): "has an axis",
    layer("a", "Accuracy", "data", "accuracy_param { top_k: 5 }"): "only 1 is measured",
    layer(
        "a",
        "InnerProduct",
        "data",
        'inner_product_param { num_output: 2 weight_filler { type: "x" } }',
    ): "has the filler 'x'",
}


def test_layers_that_are_not_caffes_own_are_refused_together(tmp_path):
    with pytest.raises(UnsupportedModel) as refused:
        network(tmp_path, "".join(REFUSED))
    assert len(refused.value.complaints) == len(REFUSED)
    for complaint, wanted in zip(refused.value.complaints, REFUSED.values(), strict=True):
        assert wanted in complaint


@pytest.mark.parametrize(
    ("net", "match"),
    [
        ('layers { name: "old" }', "has the old 'layers'. Read are 'layer': upgrade it"),
        (
            layer("a", "ReLU", "data", "loss_param { ignore_label: 3 }"),
            'no field named "ignore_label"',
        ),
        (DATA.replace("data_param", "transform_param"), 'no field named "transform_param"'),
    ],
)
def test_fields_that_would_be_ignored_are_refused_by_name(tmp_path, net, match):
    with pytest.raises(InvalidData, match=re.escape(match)):
        network(tmp_path, net)


@pytest.mark.parametrize(
    ("solver", "match"),
    [
        ('type: "Adamax"', "type is 'Adamax': use one of SGD, Nesterov"),
        ('lr_policy: "cyclic"', "lr_policy is 'cyclic': use one of fixed, step"),
        ("clip_gradients: 1 weight_decay: 0.1", "Caffe clips before it decays"),
        ('type: "RMSProp" momentum: 0.9', "momentum, which RMSProp does not use"),
        ('regularization_type: "L3"', "use L1 or L2"),
    ],
)
def test_solvers_are_refused(tmp_path, solver, match):
    with pytest.raises(UnsupportedModel, match=re.escape(match)):
        Caffe2DML(None, written(tmp_path, LENET, solver), SHAPE)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InvalidData, match="cannot be read"):
        Caffe2DML(None, tmp_path / "solver.prototxt", SHAPE)
    (tmp_path / "solver.prototxt").write_text("base_lr: 0.1")
    with pytest.raises(InvalidData, match="names no net"):
        Caffe2DML(None, tmp_path / "solver.prototxt", SHAPE)
