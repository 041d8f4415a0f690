"""What a hook reads of metrics, in which nothing is counted here, and does with them is refused."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest
from keras import callbacks as kc
from small_models import FIT, X, Y, rows, small

from keras2dml import InvalidData, Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]


def test_what_keras_counts_with_an_epoch_is_refused_and_after_it_is_not(run):
    """Metrics that a callback resets, or measures with, are those of the epoch that goes on."""
    built = small()
    built.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    ours = run(built)

    def trained(do: Callable[[keras.Model], object], *hooks: str) -> Keras2DML:
        callback = kc.Callback()
        for hook in hooks:
            setattr(callback, hook, lambda *_, **__: do(callback.model))
        return ours.fit(*rows(), epochs=1, callbacks=[callback], **FIT)

    def evaluate(seen: keras.Model) -> None:
        seen.evaluate(X, Y, verbose=0)

    while_counted = "read, reset or updated the model's metrics while they count"
    for do, hook in (
        (lambda seen: seen.reset_metrics(), "on_train_batch_end"),
        (lambda seen: seen.metrics[-1].result(), "on_train_batch_end"),
        (lambda seen: seen.metrics[-1].reset_state(), "on_train_batch_end"),
        (lambda _: built.metrics[0].result(), "on_train_batch_begin"),
        (evaluate, "on_epoch_begin"),
    ):
        with pytest.raises(InvalidData, match=while_counted):
            trained(do, hook)
    for do in (
        lambda seen: seen.get_metrics_result(),
        lambda seen: seen.metrics_variables[0].numpy(),
        lambda seen: float(seen.metrics[0].total),
        lambda seen: repr(seen.metrics[0].variables),
    ):
        with pytest.raises(InvalidData, match="in which nothing is counted here: read `logs`"):
            trained(do, "on_epoch_end")
    trained(lambda seen: (evaluate(seen), seen.get_metrics_result()), "on_epoch_end")
    trained(lambda seen: (evaluate(seen), float(seen.metrics[0].total)), "on_epoch_end")
    trained(evaluate, "on_train_begin", "on_epoch_end", "on_train_end")
    with pytest.raises(InvalidData, match="gave the model another optimizer"):
        trained(lambda seen: seen.compile("sgd", "mse"), "on_epoch_end")
