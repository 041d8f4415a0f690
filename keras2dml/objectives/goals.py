"""The goals of a Keras model: the loss and metrics of each output in DML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import keras

from keras2dml.graph import Graph
from keras2dml.objectives.configuration import Configuration
from keras2dml.objectives.losses import loss_of
from keras2dml.objectives.metrics import Metric, metric_of
from keras2dml.objectives.objective import Goal
from keras2dml.reader import last_layer
from keras2dml.rules.models import gives_of, stand_in
from keras2dml.traits import Trait


def rounded_losses(model: keras.Model, goals: Iterable[Goal]) -> Iterator[str]:
    """Complaints about losses that compute in float32 of outputs in float64."""
    for output, goal in zip(model.outputs, goals, strict=True):
        if Trait.IN_FLOAT32 in goal.loss.traits and output.dtype == "float64":
            yield (
                f"The loss {goal.loss.name!r} computes in float32, and the model in float64: call"
                " keras.config.set_floatx('float64') before the model is built and compiled, or"
                " give the loss dtype='float64'."
            )


def goals_of(
    model: keras.Model, graph: Graph | None, configuration: Configuration
) -> tuple[tuple[Goal, ...], list[str]]:
    """The goal of each output, or complaints about losses and metrics; the latter also for a model
    without a graph. An output without a loss, which is not trained, has plain numbers as targets.
    """
    goals, complaints = [], []
    outputs = getattr(model, "outputs", None) or ()
    settings = zip(
        gives_of(model).names,
        graph.outputs if graph else map(stand_in, outputs),
        configuration.losses,
        configuration.weights,
        configuration.metrics,
        configuration.weighted_metrics,
        strict=True,
    )
    for number, (name, output, configured, weight, metrics, weighted) in enumerate(settings):
        if not output.shape:
            continue  # which the model is refused for
        loss_setting = "mean_squared_error" if configured is None else configured
        loss, reasons = loss_of(loss_setting, output, weight, last_layer(model, number))
        complaints += reasons
        measured: list[Metric] = []
        kinds = [
            *((setting, False) for setting in metrics),
            *((setting, True) for setting in weighted),
        ]
        for setting, counts in kinds:
            kind = loss.kind if loss else None
            metric, reasons = metric_of(
                setting, output, last_layer(model, number), kind, weighted=counts
            )
            complaints += reasons
            measured += [metric] if metric else []
            if metric and output.mask and metric.literal and not metric.masked:
                complaints.append(
                    f"The output {name!r} has a mask, and the metric {metric.name!r} does not"
                    " return a single number for each step: take the mean over the last axis, or"
                    " leave Masking or mask_zero out."
                )
        mask = output.mask
        by_step = mask is None or mask.size * output.shape[-1] == output.size
        if loss is not None and mask and not (loss.weighable and by_step):
            complaints.append(
                f"The output {name!r} has a mask of shape {mask.shape}, and the loss {loss.name!r}"
                " has no number for each of its elements: use another loss, or leave Masking or"
                " mask_zero out."
            )
        if loss is not None:
            of_classes = loss.kind in ("sparse", "classes")
            goals.append(Goal(name, output, loss, tuple(measured), of_classes))
    return tuple(goals), complaints
