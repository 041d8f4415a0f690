"""A model is all in its own bytes, or refused; and nothing but a computation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import (
    ModelProto,
    TensorProto,
    helper,
    load_model_from_string,
    numpy_helper,
    onnx_ml_pb2,
)
from pyspark.sql import SparkSession

from contract.choices import AUTO
from contract.errors import BundleError
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.settings.programs import Scoring
from streaming.engines import onnx as onnx_engine
from streaming.engines import openvino as openvino_engine
from streaming.engines.self_contained import ReachesOutside, check_self_contained
from streaming.engines.systemds import Systemds
from streaming.engines.trials import choose
from tests.streaming.onnx_models import linear, registered_as

OUTSIDE = "keeps the tensor 'W' in another file"


def external(location: str = "/etc/passwd") -> TensorProto:
    """A tensor whose values are in a file."""
    tensor = numpy_helper.from_array(np.zeros((2, 2), np.float32), "W")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def named_only() -> TensorProto:
    """The same, without the flag that says so."""
    tensor = external()
    tensor.ClearField("data_location")
    return tensor


def endless() -> onnx_ml_pb2.NodeProto:
    body = helper.make_graph([], "body", [], [])
    return helper.make_node("Loop", ["", "c"], ["y"], body=body)


def in_a_branch(part: TensorProto | onnx_ml_pb2.NodeProto) -> onnx_ml_pb2.NodeProto:
    tensors, nodes = ([part], []) if isinstance(part, TensorProto) else ([], [part])
    inner = helper.make_graph(nodes, "inner", [], [], tensors)
    deep = helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([deep], "outer", [], [])
    return helper.make_node("If", ["c"], ["d"], then_branch=outer, else_branch=outer)


def sparse(tensor: TensorProto) -> onnx_ml_pb2.SparseTensorProto:
    made = onnx_ml_pb2.SparseTensorProto()
    made.indices.CopyFrom(tensor)
    return made


def function(domain: str, tensor: TensorProto | None = None) -> onnx_ml_pb2.FunctionProto:
    nodes = [] if tensor is None else [helper.make_node("Constant", [], ["y"], value=tensor)]
    return helper.make_function(domain, "f", ["x"], ["y"], nodes, [helper.make_opsetid("", 17)])


def extended(extend: Callable[[ModelProto], object]) -> bytes:
    model = ModelProto.FromString(linear())
    extend(model)
    return bytes(model.SerializeToString())


def add(node: onnx_ml_pb2.NodeProto) -> Callable[[ModelProto], object]:
    return lambda model: model.graph.node.append(node)


REACHING: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "initializer": (lambda model: model.graph.initializer.append(external()), OUTSIDE),
    "unflagged": (lambda model: model.graph.initializer.append(named_only()), OUTSIDE),
    "sparse": (lambda model: model.graph.sparse_initializer.append(sparse(external())), OUTSIDE),
    "constant": (add(helper.make_node("Constant", [], ["y"], value=external())), OUTSIDE),
    "tensors": (add(helper.make_node("Strange", [], ["y"], values=[external()])), OUTSIDE),
    "branch": (add(in_a_branch(external())), OUTSIDE),
    "function": (lambda model: model.functions.append(function("", external())), OUTSIDE),
    "operator": (
        add(helper.make_node("EPContext", ["X"], ["y"], domain="com.microsoft")),
        r"has the operator 'EPContext' of the domain 'com\.microsoft'",
    ),
    "loop": (add(endless()), "has a Loop, which may never end"),
    "loop in a branch": (add(in_a_branch(endless())), "has a Loop, which may never end"),
    "own function": (lambda model: model.functions.append(function("own")), "'f' of the domain"),
}


@pytest.mark.parametrize("name", REACHING)
def test_a_model_that_is_not_self_contained_is_refused(name: str) -> None:
    extend, match = REACHING[name]
    with pytest.raises(ReachesOutside, match=match):
        check_self_contained(extended(extend))


def test_what_we_write_is_self_contained(sealed: Bundle, tmp_path: Path) -> None:
    from training.quantization import quantize

    (tmp_path / "model.onnx").write_bytes(sealed.read(bundle.ONNX))
    features = sealed.manifest.scaling.apply(sealed.golden.inputs)
    quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", features)
    for file in ("model.onnx", "int8.onnx"):
        check_self_contained((tmp_path / file).read_bytes())


def test_a_file_that_is_not_onnx_is_refused() -> None:
    for content in (b"no model at all", b"<?xml version='1.0'?><net/>", b"\xff" * 100):
        with pytest.raises(ValueError, match="not an ONNX model"):
            check_self_contained(content)


@pytest.mark.kafka
@pytest.mark.spark
def test_a_bundle_whose_model_reaches_outside_is_refused_by_every_engine(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    model = extended(REACHING["initializer"][0])
    version = registered_as(scoring, sealed, model, sealed.golden)
    hostile = bundle.load(scoring.registry.fetch(version).folder)
    for engine in ("onnx", "openvino", AUTO):
        with pytest.raises(BundleError, match=f"Model digits 2 {OUTSIDE}. A model must need only"):
            choose(spark, hostile, "digits 2", engine, threading.Event())


@pytest.mark.spark
@pytest.mark.systemds
def test_a_script_in_a_bundle_is_never_run(
    spark: SparkSession, sealed: Bundle, tmp_path: Path
) -> None:
    folder, owned = tmp_path / "bundle", tmp_path / "owned"
    shutil.copytree(sealed.folder, folder)
    script = folder / bundle.DML / "score.dml"
    script.write_text(f'write(matrix(1, 1, 1), "{owned}")\n{script.read_text()}')
    known = sealed.manifest
    hostile = bundle.write(
        folder,
        name=known.name,
        input_shape=known.input_shape,
        classes=known.classes,
        scaling=known.scaling,
        versions={},
        data_sha256=known.data_sha256,
        metrics={},
        golden=sealed.golden,
    )
    engine = Systemds.of(spark, hostile, "digits 2")
    found = engine.run_trial(known.scaling.apply(sealed.golden.inputs)).probabilities
    np.testing.assert_allclose(found, sealed.golden.probabilities, atol=1e-5)
    assert not owned.exists()


@pytest.mark.parametrize("engine", [onnx_engine, openvino_engine])
def test_names_in_a_model_are_not_logged(capfd: pytest.CaptureFixture[str], engine: Any) -> None:
    model = load_model_from_string(linear())
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros(2, np.float32), "W\x1b]0;x\x07\nall is lost")
    )
    engine.load(model.SerializeToString())
    assert capfd.readouterr() == ("", "")


def test_onnx_runtime_sends_no_telemetry(tmp_path: Path) -> None:
    code = (
        "from training import quantization; from streaming.engines import onnx\n"
        "try: onnx.load(b'none')\n"
        "except Exception: pass\n"
        "import onnxruntime"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    for variable in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        environment.pop(variable, None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [*tmp_path.rglob("*nnx*")]
