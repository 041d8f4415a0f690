"""The library by itself: what it installs and needs, and what it says where that is missing."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from keras import layers
from oracle import model

import keras2dml
from keras2dml import UnsupportedModel, backend
from keras2dml.compilation import Compilation
from tests.keras2dml.systemds.test_session import in_a_new_python

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "keras2dml"
PROJECT = tomllib.loads((LIBRARY / "pyproject.toml").read_text(encoding="utf-8"))
IMPORTED = {"google": "protobuf", "py4j": "pyspark"}
"""The distributions that bring modules of another name."""
SOME = "…"


def sources() -> list[Path]:
    """The modules of the library."""
    return [file for file in LIBRARY.rglob("*.py") if "build" not in file.parts]


def test_every_folder_of_modules_is_a_package_of_the_distribution():
    tool = PROJECT["tool"]["setuptools"]
    folders = {file.parent.relative_to(ROOT) for file in sources()}
    assert set(tool["packages"]) == {".".join(folder.parts) for folder in folders}
    assert tool["package-dir"] == {"keras2dml": "."}


def test_every_file_that_is_no_module_is_in_the_distribution():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["keras2dml"]
    others = {
        file.relative_to(LIBRARY)
        for file in LIBRARY.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc", ".toml", ".md")
        if not {"build", "keras2dml.egg-info"} & {*file.relative_to(LIBRARY).parts}
    }
    assert {file for file in others if not any(map(file.match, patterns))} == {Path("LICENSE")}
    assert (LIBRARY / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_what_is_imported_is_required():
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    assert {*extras} == {*backend.BACKENDS, "plots"}
    required = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    imported = {name.partition(".")[0] for file in sources() for name in _imported(file)}
    ours = {*sys.stdlib_module_names, "keras2dml"}
    assert {IMPORTED.get(name, name) for name in imported - ours} <= required
    assert "setuptools; python_version >= '3.12'" in project["dependencies"]


def _imported(file: Path) -> Iterator[str]:
    """What a module imports when it is loaded."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_links_of_the_page_hold_where_there_is_no_repository():
    text = (LIBRARY / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all(link.startswith("https://") for link in links)
    pages = re.findall(r"\bdocs/[\w/-]+(?:\.md|/)", text)
    assert len(pages) >= 4 and all((ROOT / page).exists() for page in pages)


def test_each_message_of_the_page_exists_in_the_code():
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    ours, others = text.split("## Messages of other software")
    messages = [*_messages()]
    quoted = re.findall(r"^### `(.+)`$", ours, re.MULTILINE)
    assert len(quoted) > 30
    assert [one for one in quoted if not any(one in message for message in messages)] == []
    for name in ("Using incubator modules", "JAVA_TOOL_OPTIONS", "tensorflow", "distutils"):
        assert name in others


def _messages() -> Iterator[str]:
    """Every text of the library's modules, with dots for what is put into it."""
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else SOME
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_importing_it_loads_neither_keras_nor_spark():
    code = "import sys, keras2dml; print({'keras', 'numpy', 'pyspark'} & set(sys.modules))"
    assert in_a_new_python(code).stdout.strip() == "set()"


def test_importing_it_settles_nothing_in_keras():
    """Keras keeps the dtype of the first layer that is made for all that come after."""
    names = [name for name in keras2dml.__all__ if not hasattr(keras2dml.errors, name)]
    code = (
        "import keras, keras2dml, keras2dml.export.support_page\n"
        f"for name in {names}: getattr(keras2dml, name)\n"
        "keras.config.set_floatx('float64'); print(keras.layers.Dense(1).dtype)"
    )
    assert in_a_new_python(code).stdout.strip() == "float64"


def test_every_name_is_listed_before_it_is_loaded():
    listed = in_a_new_python("import keras2dml; print(*dir(keras2dml))").stdout.split()
    assert {*keras2dml.__all__} <= {*listed}


def test_without_a_backend_there_is_one_sentence(tmp_path: Path):
    names = [name for name in keras2dml.__all__ if not hasattr(keras2dml.errors, name)]
    code = f"""
import keras2dml
for name in {names}:
    try:
        getattr(keras2dml, name)
    except keras2dml.NoBackend as error:
        print(name, error)
"""
    told = in_a_new_python(code, KERAS_BACKEND="none").stdout.splitlines()
    without_keras = {"Scorer", "define", "spark_session"}
    assert {line.partition(" ")[0] for line in told} == {*names} - without_keras
    for line in told:
        assert "Keras cannot be imported (Unable to import backend : none)." in line
        assert re.search(r"Set KERAS_BACKEND to one that is installed here \(.*tensorflow", line)
        assert "'keras2dml[tensorflow]', 'keras2dml[jax]' or 'keras2dml[torch]'" in line
    file = tmp_path / "model.keras"
    file.touch()
    ran = subprocess.run(
        [sys.executable, "-m", "keras2dml", "compile", file, "-o", tmp_path / "out"],
        env={**os.environ, "KERAS_BACKEND": "none"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("Keras cannot be imported (") and ran.stderr.count("\n") == 1


def test_a_backend_that_trains_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(backend, "backend", lambda: "numpy")
    with pytest.raises(keras2dml.NoBackend, match=r"its backend 'numpy', which trains nothing\."):
        backend.check_backend()


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_what_other_backends_compute_otherwise_is_compiled_so(monkeypatch, name):
    built = model((4,), layers.Embedding(5, 3), layers.Flatten(), layers.Dense(3, "softmax"))
    built.compile(keras.optimizers.Adam(beta_1=0.7), "sparse_categorical_crossentropy")
    ours = Compilation.of(built)
    monkeypatch.setattr(backend, "backend", lambda: name)
    theirs = Compilation.of(built)
    losses = [made.goals[0].loss.function for made in (ours, theirs)]
    assert losses == ["cross_entropy_of_logits", "cross_entropy_of_probabilities"]
    slices = ["_squares" in made.training_script().text for made in (ours, theirs)]
    assert slices == [True, False]
    weight = ours.graph.parameters[0].weight
    steps = [made.optimizer.step(weight) for made in (ours, theirs)]
    assert [step.constants["bias_1"] == 0.7 for step in steps] == [False, True]


def test_what_other_backends_derive_otherwise_scores_and_does_not_train(monkeypatch):
    built = model(
        (4,),
        layers.Dense(3, kernel_regularizer="l1", bias_regularizer="l2"),
        layers.LeakyReLU(),
        layers.Activation("hard_tanh"),
        layers.ActivityRegularization(l1=0.1),
    )
    built.compile("sgd", "mae")
    counts = {}
    for name in backend.BACKENDS:
        monkeypatch.setattr(backend, "backend", lambda name=name: name)
        compiled, counts[name] = Compilation.of(built), 0
        try:
            compiled.check_trainable()
        except UnsupportedModel as refused:
            assert all(
                "set KERAS_BACKEND=tensorflow to train" in each for each in refused.complaints
            )
            counts[name] = len(refused.complaints)
    assert counts == {"tensorflow": 0, "jax": 4, "torch": 1}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.systemds
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", backend.BACKENDS)
def test_it_installs_by_itself_and_is_keras_on_each_backend(java_17, tmp_path, name):
    """In a fresh environment, with what the extra brings."""
    library = shutil.copytree(
        LIBRARY, tmp_path / "source", ignore=shutil.ignore_patterns("build", "__pycache__")
    )
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{library}[{name}]"], check=True)
    ran = subprocess.run(
        [python, Path(__file__).with_name("backends.py"), name],
        env={**os.environ, "KERAS_BACKEND": name, "JAX_ENABLE_X64": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "12 models are Keras' own" in ran.stdout and str(tmp_path) in ran.stdout
