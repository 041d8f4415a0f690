"""A layer that keras2dml does not know, taught from outside as docs/own-layer.md tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from oracle import agrees, learns, seeded

from keras2dml import InvalidGraph, define, dml

PAGE = Path(__file__).parents[2] / "docs" / "own-layer.md"


@pytest.mark.spark
@pytest.mark.systemds
def test_the_layer_of_the_page_scores_and_learns_as_keras(spark, capsys):
    page = {"spark": spark, "__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), page)
    assert "gate_gradients(" in capsys.readouterr().out
    agrees(spark, seeded(page["model"]), single=False)
    learns(spark, page["model"], single=False)


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
    assert dml.call("twice", ["B"], {"X": "A"}) == "B = twice(X=A)"
