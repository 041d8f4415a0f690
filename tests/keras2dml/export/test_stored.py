"""A compiled model in files: whole when it comes back, and harmless whoever wrote it."""

from __future__ import annotations

import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from oracle import model, seeded

from keras2dml import InvalidData
from keras2dml.compilation import Compilation
from keras2dml.dml import syntax
from keras2dml.estimators.scorer import CompiledModel
from keras2dml.scripts.algorithms import TEST, Algorithm


def compiled(built: keras.Model, algorithm: Algorithm | None = None) -> CompiledModel:
    compilation = Compilation.of(built)
    return CompiledModel.of(compilation.graph, compilation.weights(), algorithm)


def convolutional() -> keras.Model:
    return model(
        (6, 5, 2),
        layers.Conv2D(3, 2, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Identity(),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
    )


def branched() -> keras.Model:
    """Two inputs, two outputs, and a layer that is used twice."""
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    shared = layers.Dense(4, activation="tanh")
    sum_ = layers.Add()([shared(first), shared(second)])
    return seeded(keras.Model([first, second], [layers.Dense(2)(sum_), layers.Dense(3)(sum_)]))


def recurrent() -> keras.Model:
    return model((4, 3), layers.LSTM(5, return_sequences=True), layers.GRU(2))


@cache
def kept() -> tuple[dict[str, bytes], str]:
    """The files of a model, and its script."""
    with tempfile.TemporaryDirectory() as folder:
        saved = compiled(convolutional())
        saved.save(folder)
        return {name: Path(folder, name).read_bytes() for name in saved.FILES}, saved.script.text


def description() -> Any:
    return json.loads(kept()[0]["model.json"])


def loaded(about: object) -> CompiledModel:
    """The model with another description."""
    return CompiledModel.of_files({**kept()[0], "model.json": json.dumps(about).encode()})


@pytest.mark.parametrize("make", [convolutional, branched, recurrent])
def test_a_model_comes_back_as_it_was_saved(
    make: Callable[[], keras.Model], tmp_path: Path
) -> None:
    built = make()
    for test in TEST:
        saved = compiled(built, Algorithm(test=test, parfor={"mode": "LOCAL", "par": 2}))
        again = CompiledModel.load(saved.save(tmp_path / test))
        assert again.script == saved.script
        assert (tmp_path / test / "score.dml").read_text() == saved.script.text
    assert list(again.weights) == list(saved.weights)
    for name, matrix in saved.weights.items():
        np.testing.assert_array_equal(again.weights[name], matrix)
    for ours, theirs in ((again.inputs, saved.inputs), (again.outputs, saved.outputs)):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            assert (ours[name].shape, ours[name].stored) == (value.shape, value.stored)
            np.testing.assert_array_equal(ours[name].order, value.order)


def test_no_script_is_read_from_the_folder(tmp_path: Path) -> None:
    saved = compiled(convolutional())
    folder = saved.save(tmp_path / "model")
    (folder / "score.dml").write_text('write(matrix(1, 1, 1), "/tmp/owned")')
    assert CompiledModel.load(folder).script == saved.script
    (folder / "score.dml").unlink()
    os.mkfifo(folder / "score.dml")
    assert CompiledModel.load(folder).script == saved.script


@pytest.mark.parametrize("name", CompiledModel.FILES)
def test_a_pipe_or_a_missing_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = compiled(recurrent()).save(tmp_path / "model")
    (folder / name).unlink()
    for make in (lambda: None, lambda: os.mkfifo(folder / name)):
        make()
        with pytest.raises(InvalidData, match=f"{name} is missing, too large or no regular file"):
            CompiledModel.load(folder)


def edited(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """What sets a place of the description, like `graph.calls.0.function`."""

    def edit(about: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = about
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        place[int(last) if isinstance(place, list) else last] = value

    return edit


OWNED = 'x"); write(matrix(1, 1, 1), "/tmp/owned"); y = ("'


EDITS = [
    (edited("graph.calls.0.function", "no_such"), "no function 'no_such_forward'"),
    (edited("graph.calls.0.function", OWNED), "no name of a variable"),
    (edited("graph.calls.0.name", OWNED), "no name of a variable"),
    (edited("graph.calls.0.name", "a\nb"), "no name of a variable"),
    (edited("graph.inputs.0.name", OWNED), "no name of a variable"),
    (edited("graph.parameters", {OWNED: [2, 2]}), "no name of a variable"),
    (edited("graph.calls.0.sizes.Hf", OWNED), "the size 'Hf' is .*no number"),
    (edited("graph.calls.0.sizes.Hf", float("inf")), "no number"),
    (edited("graph.calls.0.sizes.Hf", 10**400), "OverflowError|too large"),
    (edited("graph.calls.0.inputs.0", [99, "out"]), "call 99, which is none before it"),
    (edited("graph.calls.0.inputs.0", [1, "out"]), "call 1, which is none before it"),
    (edited("graph.calls.0.inputs.0", [0, OWNED]), "no name of a variable"),
    (edited("graph.calls.0.weights", {}), "which its rule does not give"),
    (edited("graph.inputs.0.order", [0] * 60), "no order for each of its elements"),
    (edited("graph.inputs.0.shape", [1 << 39, 1 << 39, 1]), "no order for each"),
    (edited("graph.inputs", []), "no input or no output|which is none before it"),
    (edited("test", "paramserv"), "test_algo is 'paramserv'"),
    (edited("parfor", {"mode": OWNED}), "no parameter of a loop"),
    (edited("parfor", {OWNED: 1}), "no parameter of a loop"),
    (edited("graph", []), "list indices"),
    (edited("graph.parameters", {}), "KeyError|conv2d"),
]


def test_what_keras2dml_does_not_write_is_refused() -> None:
    for edit, match in EDITS:
        about = description()
        edit(about)
        with pytest.raises(InvalidData, match=match):
            loaded(about)


def test_the_name_of_a_model_stays_in_the_comment() -> None:
    about = description()
    about["graph"]["name"] = 'x\nwrite(matrix(1, 1, 1), "/tmp/owned")\r\u2028'
    again = loaded(about)
    first, *others = again.script.text.splitlines()
    assert "/tmp/owned" in first and first.startswith("# ")
    assert others == kept()[1].splitlines()[1:]


def test_files_of_another_form_are_refused() -> None:
    for content in (b"", bytes(7), pickle.dumps({"a": 1}), b"PK\x03\x04"):
        with pytest.raises(InvalidData, match=r"weights\.bin has \d+ bytes for \d+ numbers"):
            CompiledModel.of_files({**kept()[0], "weights.bin": content})
    for text in (b"", b"{", b"[]", b"\xff", b"1", b"null", b"[" * 100_000):
        with pytest.raises(InvalidData, match="holds no compiled model"):
            CompiledModel.of_files({**kept()[0], "model.json": text})


places = st.lists(st.integers(0, 40), min_size=1, max_size=6)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([OWNED, "source", "identity", "input", "relu", [], {}, [[]], 1 << 70]),
)


@given(st.lists(st.tuples(places, values), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_change_is_refused_or_computes_by_the_library(changes: list[Any]) -> None:
    about: Any = description()
    for path, value in changes:
        about = changed(about, path, deepcopy(value))
    try:
        text = loaded(about).script.text
    except InvalidData:
        return
    called = set(re.findall(r"(\w+)\s*\(", statements(text)))
    words = {"function", "return", "while", "for", "parfor", "matrix", "nrow", "min", "seq", "ceil"}
    assert called <= {*syntax.library(), "score", *words}


def changed(part: Any, path: list[int], value: Any) -> Any:
    """The same with another value at a place, which the numbers choose."""
    if not path or not isinstance(part, list | dict) or not part:
        return value
    keys = list(range(len(part))) if isinstance(part, list) else list(part)
    key = keys[path[0] % len(keys)]
    part[key] = changed(part[key], path[1:], value)
    return part


def statements(text: str) -> str:
    """A script without its comments and the functions that it defines."""
    for function in syntax.library().values():
        text = text.replace(function.text, "")
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
