"""Models of classes that users write: they are compiled where they compute as Keras' own do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from oracle import FORWARD, WEIGHTS, near, seeded

from keras2dml import UnsupportedModel
from keras2dml.__main__ import main
from keras2dml.compilation import Compilation
from keras2dml.training.trained_copies import keras_model

X = np.round(np.random.default_rng(3).normal(size=(8, 4)) * 4) / 4
Y = np.arange(8) % 3


class Plain(keras.Model):
    """A functional model of a user's class, with a constructor of its own."""

    def __init__(self, units: int = 5, **arguments: Any) -> None:
        inputs = keras.Input((4,))
        hidden = layers.Dense(units, "tanh")
        outputs = layers.Dense(3, "softmax")(hidden(inputs))
        super().__init__(inputs=inputs, outputs=outputs, **arguments)
        self.hidden, self.units = hidden, units

    def encoded(self, x: Any) -> Any:
        """A method that Keras does not call."""
        return self.hidden(x)


class LikeKeras(keras.Model):
    """A class whose constructor is Keras' own."""


class Stacked(keras.Sequential):
    """A Sequential of a user's class."""


class Steps(Plain):
    """One that trains by itself, and is compiled without a loss."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Checks(Plain):
    def test_step(self, data: Any) -> Any:
        return super().test_step(data)


class Losses(Plain):
    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        return super().compute_loss(*arguments, **named)


class Predictions(Plain):
    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data) * 2


class Tracking(Plain):
    """With a metric of its own among its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = keras.metrics.Mean(name="tracker")


class Called(Plain):
    def call(self, x: Any) -> Any:
        return super().call(x) * 2


class Written(keras.Model):
    """A model whose layers are called by its code alone."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class Spare(Plain):
    """With a layer that is none of its graph's."""

    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(2, name="head")


class Compiles(Plain):
    """With arguments of its own for compile()."""

    def compile(self, rate: float, loss: str) -> None:
        super().compile(keras.optimizers.SGD(rate), loss)


def nested() -> keras.Model:
    """A user's classes as layers of a model: one of them is in the other one's place twice."""
    inputs = keras.Input((4,))
    inner = Plain(name="inner")
    body = LikeKeras(inputs, layers.Dense(4)(inputs), name="body")
    x = keras.Input((4,))
    both = layers.Concatenate()([inner(body(x)), inner(x)])
    return keras.Model(x, layers.Dense(3, "softmax")(both))


@pytest.mark.slow
@pytest.mark.systemds
@pytest.mark.parametrize("kind", ["plain", pytest.param("nested", marks=pytest.mark.long)])
def test_they_score_and_train_as_keras(run, tmp_path, kind):
    built = seeded(Plain() if kind == "plain" else nested())
    built.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ours = run(built)
    ours.fit(X, Y, batch_size=3, epochs=2, shuffle=False, validation_data=(X, Y))
    history = built.fit(
        X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y)
    )
    copy = ours.to_keras()
    for found, trained in zip(copy.get_weights(), built.get_weights(), strict=True):
        near(found, trained, WEIGHTS["float64"])
    assert type(copy) is not type(built) or kind == "nested"
    assert ours.history.keys() == history.history.keys()
    near(ours.predict_proba(X), built.predict(X, verbose=0), FORWARD["float64"])
    copy.save(tmp_path / "copy.keras")  # which opens where the class is not known
    loaded = keras.models.load_model(tmp_path / "copy.keras")
    near(loaded.predict(X, verbose=0), built.predict(X, verbose=0), FORWARD["float64"])


def compiled(built: keras.Model, *arguments: Any) -> Compilation:
    built.compile(*arguments or ("adam", "sparse_categorical_crossentropy"))
    return Compilation.of(built)


@pytest.mark.parametrize("kind", [LikeKeras, Stacked])
def test_classes_that_only_have_a_name_are_compiled(kind):
    if kind is Stacked:
        built = Stacked([keras.Input((4,)), layers.Dense(3)])
    else:
        inputs = keras.Input((4,))
        built = LikeKeras(inputs, layers.Dense(3)(inputs))
    made = compiled(built)
    made.check_trainable()
    made.check_measurable()
    made.check_scorable()
    assert type(keras_model(made, made.weights())).__module__.startswith("keras.")


STEPS = ("check_trainable", "check_measurable", "check_scorable")


@pytest.mark.parametrize(
    ("kind", "name", "refused"),
    [
        (Steps, "train_step", {"check_trainable"}),
        (Checks, "test_step", {"check_measurable"}),
        (Losses, "compute_loss", {"check_trainable", "check_measurable"}),
        (Tracking, "metrics", {"check_trainable", "check_measurable"}),
        (Predictions, "predict_step", {"check_scorable"}),
        (Compiles, "", set()),
    ],
)
def test_a_method_that_a_class_overrides_is_refused_only_for_its_step(kind, name, refused):
    arguments = (0.1, "sparse_categorical_crossentropy") if kind is Compiles else ()
    made = compiled(kind(), *arguments)
    for step in STEPS:
        if step not in refused:
            getattr(made, step)()
            continue
        with pytest.raises(UnsupportedModel, match=f"Its class {kind.__name__} overrides {name}"):
            getattr(made, step)()


def test_a_method_set_on_the_object_is_also_refused():
    built = Plain()
    built.train_step = lambda data: {}
    with pytest.raises(UnsupportedModel, match="Its class Plain overrides train_step"):
        compiled(built).check_trainable()


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (Called, r"\(Called\) has its own call\(\), whose code is not compiled. Call its layers"),
        (Written, r"\(Written\) has its own call\(\)"),
        (Spare, r"\(Spare\) has head besides the layers between its inputs and outputs"),
    ],
)
def test_a_class_with_its_own_call_is_refused(kind, match):
    with pytest.raises(UnsupportedModel, match=match):
        Compilation.of(kind())


@pytest.mark.slow
@pytest.mark.systemds
def test_a_class_that_overrides_training_is_scored(run):
    built = seeded(Steps())
    built.compile("adam")
    ours = run(built)
    near(ours.predict(X), built.predict(X, verbose=0), FORWARD["float64"])
    with pytest.raises(UnsupportedModel, match=r"cannot be trained:\n.*overrides train_step"):
        ours.fit(X, Y)
    tested, predicting = run(seeded(Checks())), run(seeded(Predictions()))
    tested.fit(X, Y, epochs=1)
    with pytest.raises(UnsupportedModel, match=r"cannot be evaluated:\n.*overrides test_step"):
        tested.fit(X, Y, epochs=1, validation_split=0.5)
    for scores in (predicting.predict, predicting.to_onnx):
        with pytest.raises(UnsupportedModel, match=r"cannot be scored:\n.*overrides predict_step"):
            scores(X)


def test_the_command_line_names_the_class(tmp_path, capsys):
    built = Steps()
    built.compile("adam", "sparse_categorical_crossentropy")
    built.save(tmp_path / "model.keras")
    assert main(["compile", str(tmp_path / "model.keras"), "-o", str(tmp_path / "out")]) == 1
    assert "Steps" in capsys.readouterr().err
