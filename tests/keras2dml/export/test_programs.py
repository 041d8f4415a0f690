"""`python -m keras2dml compile`: its scripts run with SystemDS' command line, on their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from oracle import examples, model, near, seeded, wanted

from keras2dml.__main__ import main
from keras2dml.systemds.session import systemds_jar
from tests.quick_java import QUICK

# What Keras does where it writes a file.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def saved(built: keras.Model, folder: Path, *options: str) -> Path:
    built.save(folder / "model.keras")
    arguments = ["compile", str(folder / "model.keras"), "-o", str(folder / "out")]
    assert main([*arguments, *options]) == 0
    return folder / "out"


def run(java_17, script: Path, **arguments: object) -> str:
    given = [f"{name}={value}" for name, value in arguments.items()]
    command = [
        *(java_17.home / "bin" / "java", "--add-modules=jdk.incubator.vector"),
        *("-cp", systemds_jar(), "org.apache.sysds.api.DMLScript", "-f", script),
        *("-exec", "singlenode", "-nvargs", *given),
    ]
    ended = subprocess.run(
        list(map(str, command)),
        cwd=script.parent,
        env={**os.environ, **QUICK},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout + ended.stderr


def csv(folder: Path, **arrays: np.ndarray) -> dict[str, Path]:
    for name, array in arrays.items():
        np.savetxt(folder / f"{name}.csv", array, fmt="%.17g", delimiter=",")
    return {name: folder / f"{name}.csv" for name in arrays}


def image_model() -> keras.Model:
    return model(
        (6, 5, 2),
        keras.layers.Conv2D(3, (3, 2), padding="same", activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.UpSampling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(4, activation="softmax"),
    )


def optimizers() -> dict[str, keras.optimizers.Optimizer]:
    slower = keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
    return {
        "sgd": keras.optimizers.SGD(0.1, momentum=0.9),
        "averaged": keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.7),
        "scheduled": keras.optimizers.RMSprop(slower),
    }


@pytest.mark.slow
@pytest.mark.systemds
@pytest.mark.parametrize(
    "optimizer",
    ["scheduled", *(pytest.param(name, marks=pytest.mark.long) for name in ("sgd", "averaged"))],
)
def test_the_programs_score_and_train_as_keras(java_17, tmp_path, optimizer):
    built = image_model()
    loss = "sparse_categorical_crossentropy" if optimizer == "sgd" else "categorical_crossentropy"
    built.compile(optimizers()[optimizer], loss, metrics=["accuracy"])
    features = examples(built, 8)
    labels = wanted((4,), 8, loss)
    if optimizer == "averaged":
        built.fit(features, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    out = saved(built, tmp_path, "--iterations", "20")
    given = csv(tmp_path, X=features.transpose(0, 3, 1, 2).reshape(8, -1), Y=labels)
    trained = tmp_path / "trained"
    for weights, scores in (("weights", tmp_path / "before"), (trained, tmp_path / "after")):
        said = run(java_17, out / "score.dml", X=given["X"], weights=weights, out=scores)
        assert scores.exists(), said
        near(np.loadtxt(scores, delimiter=","), built.predict(features, verbose=0), 1e-9)
        if weights == trained:
            break
        history = built.fit(features, labels, batch_size=5, epochs=2, shuffle=False, verbose=0)
        said = run(java_17, out / "train.dml", **given, out=trained, epochs=2, batch_size=5)
        told = float(said.split("Epoch 2: loss ")[1].split()[0])
        near(np.array(told), np.array(history.history["loss"][-1]), 1e-6)
    dense = np.loadtxt(trained / "dense_weight.mtx", delimiter=",")
    near(np.sort(dense.ravel()), np.sort(built.layers[-1].kernel.numpy().ravel()), 1e-8)


@pytest.mark.slow
@pytest.mark.systemds
def test_several_inputs_and_outputs_in_binary_files(java_17, tmp_path):
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    ends = [keras.layers.Dense(2, name="one")(both), keras.layers.Dense(1, name="two")(both)]
    built = seeded(keras.Model([left, right], ends))
    built.compile("sgd", "mse")
    features = examples(built, 4)
    out = saved(built, tmp_path)
    given = csv(tmp_path, X_left=features[0], X_right=features[1])
    named = {"weights": out / "weights", "out_1": tmp_path / "1", "out_2": tmp_path / "2"}
    said = run(java_17, out / "score.dml", **given, **named)
    for name, output in zip(("1", "2"), built.predict(features, verbose=0), strict=True):
        assert (tmp_path / name).exists(), said
        found = np.loadtxt(tmp_path / name, delimiter=",").reshape(output.shape)
        near(found, output, 1e-9)
    targets = csv(tmp_path, Y_1=np.ones((4, 2)), Y_2=np.ones((4, 1)))
    run(java_17, out / "train.dml", **given, **targets, out=tmp_path / "t", epochs=1)
    assert '"csv"' in (tmp_path / "t" / "one_weight.mtx.mtd").read_text()


@pytest.mark.slow
@pytest.mark.systemds
def test_the_command_that_compile_prints_runs(java_17, tmp_path, capsys):
    built = model((3,), keras.layers.Dense(2, activation="softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy")
    (tmp_path / "a folder").mkdir()
    out = saved(built, tmp_path / "a folder")
    begins, changes, scores, trains = capsys.readouterr().out.split("\n", 1)[1].split("\n")[:4]
    assert not begins and changes == f"cd '{out}'"
    assert all(str(systemds_jar()) in command for command in (scores, trains))
    features = examples(built, 4)
    csv(out, X=features)
    path = f"{java_17.home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(f"{changes} && {scores}", shell=True, check=True, env={"PATH": path, **QUICK})
    near(np.loadtxt(out / "scores.csv", delimiter=","), built.predict(features, verbose=0), 1e-9)


@pytest.mark.slow
@pytest.mark.systemds
def test_a_program_says_what_is_wrong_with_its_data(java_17, tmp_path):
    built = model((3,), keras.layers.Dense(2, activation="softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy")
    out = saved(built, tmp_path)
    good, wide = csv(tmp_path, good=np.ones((4, 3)), wide=np.ones((4, 5))).values()
    late = csv(tmp_path, late=np.full(4, 2))["late"]
    said = run(java_17, out / "score.dml", X=wide, out=tmp_path / "s")
    assert "X must have 3 columns, one row for each example; it has 5" in said
    said = run(java_17, out / "train.dml", X=good, Y=late, out=tmp_path / "t")
    assert "Y has class numbers out of range: give 0 to 1." in said


class Gate(keras.layers.Layer):
    def call(self, x):
        return x


def twice(x):
    return 2 * x


def test_a_model_that_cannot_be_trained_is_written_for_scoring(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.dml").write_text("of another model")
    flipping = model((4, 4, 1), keras.layers.RandomFlip(), keras.layers.Flatten())
    untrained = model((3,), keras.layers.Dense(2, "softmax"))
    untrained.compile("adam", "categorical_crossentropy")
    for built, name, reason in (
        (flipping, "model.keras", "(RandomFlip) changes images in training"),
        (untrained, "model.h5", "The optimizer was made for other variables"),
    ):
        built.save(tmp_path / name)
        out = tmp_path / "out"
        assert main(["compile", str(tmp_path / name), "-o", str(out), "--force"]) == 0
        said = capsys.readouterr()
        assert "No train.dml is written: " in said.err and reason in said.err
        assert f"Wrote {out}/score.dml and {out}/weights. To score with" in said.out
        assert {file.name for file in out.iterdir()} == {"score.dml", "weights"}


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--iterations", "0", "'0' is not a number of steps: give a whole number of 1 or more"),
        ("--iterations", "1e3", "'1e3' is not a number of steps"),
        ("--input-shape", "3,,", "'3,,' is not a list of sizes: give whole numbers with commas"),
    ],
)
def test_an_option_that_is_not_a_number_is_reported_with_its_rule(option, value, match, capsys):
    with pytest.raises(SystemExit):
        main(["compile", "model.keras", "-o", "out", option, value])
    assert match in capsys.readouterr().err


def test_errors_of_compilation_are_one_sentence(tmp_path, capsys):
    def complaint(*arguments: object) -> str:
        assert main(["compile", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    file, out = tmp_path / "model.keras", tmp_path / "out"
    assert f"There is no file {file}: give one" in complaint(file, "-o", out)
    file.write_text("no model")
    assert "is damaged, or not a Keras model" in complaint(file, "-o", out)
    text = tmp_path / "model\x1b[31m.txt"
    text.write_text("no model")
    said = complaint(text, "-o", out)
    assert "model\\x1b[31m.txt is not a .keras or .h5 file: give one" in said and "\x1b" not in said
    weights = tmp_path / "model.h5"
    weights.write_text("no model")
    assert "holds no Keras model" in complaint(weights, "-o", out)
    spectral = keras.layers.SpectralNormalization(keras.layers.Dense(2))
    model((3,), spectral).save(file)
    assert "cannot be compiled to DML:\n  - " in complaint(file, "-o", out)
    keras.Sequential([keras.Input((3,)), Gate(), keras.layers.Lambda(lambda x: x)]).save(file)
    needs = "the class 'Gate', the code of a Lambda layer, which the command line does not run"
    assert f"{file} needs {needs}: load the" in complaint(file, "-o", out)
    keras.Sequential([keras.Input((3,)), Gate(), keras.layers.Dense(2, twice)]).save(weights)
    needs = "the class 'Gate', the function 'twice', which the command line does not have"
    assert f"{weights} needs {needs}: load the" in complaint(weights, "-o", out)
    assert not out.exists()
    assert "is a file: give -o a folder" in complaint(file, "-o", file)
    assert "is not empty: give another one, or --force" in complaint(file, "-o", tmp_path)
    model((3,), keras.layers.Dense(2)).save(file)
    said = complaint(file, "-o", text / "under")
    assert "cannot be written (Not a directory): give a path" in said
    assert main(["compile", str(file), "-o", str(tmp_path), "--force"]) == 0
