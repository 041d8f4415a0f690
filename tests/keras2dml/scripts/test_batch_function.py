"""What is computed of a batch is a function of the script, which SystemDS keeps."""

from __future__ import annotations

import re

import pytest
from keras.layers import BatchNormalization, Dense, Dropout
from oracle import model

from keras2dml.compilation import Compilation
from keras2dml.dml import syntax
from keras2dml.scripts import row_batches, score, train
from keras2dml.scripts.algorithms import Algorithm
from keras2dml.scripts.batch_function import BatchFunction


def test_long_lists_are_broken_between_their_items():
    names = tuple(f"a_weight_of_the_layer_{number}" for number in range(12))
    function = BatchFunction("step", names, names, ("x = 1",), ("rate",), ("seed",))
    lines = [*function.text.splitlines(), *function.call]
    assert all(len(line) <= 100 for line in lines)
    assert not [line for line in lines if line.endswith(("double]", " "))]
    assert function.text.count("matrix[double] a_weight_of_the_layer_11") == 2
    assert "".join(function.call).replace(" ", "").endswith("_11,rate,seed)")


@pytest.mark.parametrize("of", [train.evaluation, score.render])
def test_a_batch_is_a_function_of_all_rows_and_its_bounds(of):
    compilation = Compilation.of(model((3,), Dense(2, "softmax")))
    text = of(compilation.objective() if of is train.evaluation else compilation.graph).text
    head, body = text.split("return (")[-2:]
    assert " ".join(head.split()).endswith("double begin, double end)")
    assert "  X_batch = X[begin:end,]" in body


def test_no_function_of_the_library_is_called_as_one_of_the_scripts():
    compilation = Compilation.of(model((3,), Dense(2, "softmax")))
    server = Algorithm(train="paramserv", parallel=2)
    texts = [
        compilation.training_script().text,
        compilation.training_script(algorithm=server).text,
        train.evaluation(compilation.objective()).text,
        score.render(compilation.graph).text,
        row_batches.render(compilation.graph).text,
    ]
    defined = {name for text in texts for name in re.findall(r"^(\w+) = function", text, re.M)}
    assert defined - syntax.library().keys() == {*syntax.OWN}
    assert not syntax.library().keys() & {*syntax.OWN}


@pytest.mark.spark
@pytest.mark.systemds
def test_systemds_calls_the_functions(run):
    ours = run(model((3,), Dense(4), BatchNormalization(), Dropout(0.5), Dense(2, "softmax")))
    for training, name in ((True, "step"), (False, "score")):
        plan = ours.explain(rows=100, training=training)
        assert f"FUNCTION .defaultNS::{name} " in plan
