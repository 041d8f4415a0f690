"""A layer that keras2dml does not know, taught from outside as docs/own-layer.md tells."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest
from oracle import agrees, learns, seeded

from keras2dml import InvalidGraph, UnsupportedModel, define, lowers
from keras2dml.compilation import Compilation
from keras2dml.dml import syntax
from keras2dml.graph import Value, Weight
from keras2dml.reader import read
from keras2dml.rules import LOWERINGS, call

PAGE = Path(__file__).parents[3] / "docs" / "own-layer.md"


@pytest.mark.spark
@pytest.mark.systemds
def test_the_layer_of_the_page_scores_and_learns_as_keras(spark, capsys):
    page = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), page)
    assert "gate_gradients(" in capsys.readouterr().out
    agrees(spark, seeded(page["model"]), single=False)
    learns(spark, page["model"], single=False)


class Scaled(keras.Layer):
    """A layer with an argument that Keras cannot write down, and no get_config."""

    def __init__(self, factor: object, name: str) -> None:
        super().__init__(name=name)
        self.factor = factor

    def call(self, x):
        return x


def test_layers_without_a_config_are_refused_by_their_names_all_at_once():
    @lowers(Scaled)
    def scaled(layer: Scaled, x: Value) -> Value:
        return x

    within = keras.Sequential([keras.Input((4,)), Scaled(object(), "b"), keras.layers.Hashing(3)])
    built = keras.Sequential([keras.Input((4,)), Scaled(object(), "a"), within])
    with pytest.raises(UnsupportedModel) as refused:
        Compilation.of(built, {})
    del LOWERINGS[Scaled]
    complaints = [line for line in str(refused.value).splitlines() if "get_config" in line]
    assert [line.split("(")[0].strip() for line in complaints] == ["- Layer 'a'", "- Layer 'b'"]
    assert "Layer 'hashing' (Hashing) is not compiled" in str(refused.value)


class Rated(keras.Layer):
    def build(self, shape):
        self.rate = self.add_weight(shape=(shape[-1],), name="rate")

    def call(self, x):
        return x * self.rate


def test_no_weight_is_called_as_a_number_of_the_scripts():
    @lowers(Rated)
    def rated(layer: Rated, x: Value) -> Value:
        rate = Weight("rate", layer.rate, (1, x.size))
        return call(layer.name, "relu", x, weights=(rate,))

    built = keras.Sequential([keras.Input((4,)), Rated(name="learning"), Rated(name="slow")])
    names = [parameter.name for parameter in read(built).parameters]
    del LOWERINGS[Rated]
    assert names == ["learning_rate_2", "slow_rate"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("out = X + 1", "No function could be read. Write each as 'name = function"),
        ("f = function(matrix X) return (double y) {\n y = sum(X)\n}", "f could be read"),
        ("f = function(matrix[double] X) return (double y) { y = sum(X) }", "f could be read"),
        (
            "tanh_forward = function(matrix[double] X) return (matrix[double] out) {\n  out = X\n}",
            "keras2dml has tanh_forward already: give your functions other names",
        ),
        (
            "score = function(matrix[double] X) return (matrix[double] out) {\n  out = X\n}",
            "keras2dml has score already: give your functions other names",
        ),
        (
            "gradients = function(matrix[double] X) return (matrix[double] Y) {\n  Y = X\n}",
            "keras2dml has gradients already: give your functions other names",
        ),
    ],
)
def test_functions_that_cannot_be_defined_are_refused(text, match):
    with pytest.raises(InvalidGraph, match=match):
        define(text)


def test_functions_are_defined_from_a_file(tmp_path):
    file = tmp_path / "own.dml"
    head = "twice = function(matrix[double] X) return (matrix[double] Y)"
    file.write_text(f"{head} {{\n  Y = 2 * X\n}}\n")
    define(file)
    assert syntax.call("twice", ["B"], {"X": "A"}) == "B = twice(X=A)"
