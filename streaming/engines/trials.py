"""Chooses the engine for a bundle's model: the fastest that reproduces the golden set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import NamedTuple

import numpy as np
from pyspark.sql import SparkSession

from contract.choices import AUTO
from contract.errors import BundleError, SettingsError
from contract.model.bundle import INT8, ONNX, Bundle, Golden
from contract.quantities import quantity
from streaming.engines import AnyEngine, Trial, onnx, openvino
from streaming.engines.deadline import TookTooLong, check
from streaming.engines.in_workers import InWorkers, Load
from streaming.engines.self_contained import ReachesOutside
from streaming.engines.systemds import Systemds
from streaming.shares import least, most
from streaming.spark.failures import RAISED


@dataclass(frozen=True)
class Bounds:
    """How far an engine may deviate from the golden set."""

    agreement: float
    """Minimum share of the images that get their golden class."""
    accuracy: float
    """Maximum loss of accuracy against the golden classes, as a share of the images."""


EXACT, ROUNDED = Bounds(1.0, 0.0), Bounds(0.999, 0.001)


Make = Callable[[SparkSession, Bundle, str], AnyEngine | None]
"""Creates an engine for a bundle; the string is the model's name in errors. None where the bundle
has no model of that kind."""


@dataclass(frozen=True)
class Kind:
    """How to create an engine, and how exact it must be."""

    make: Make
    bounds: Bounds = EXACT


def _in_workers(load: Load, file: str) -> Make:
    def make(spark: SparkSession, bundle: Bundle, title: str) -> AnyEngine | None:
        if file not in bundle.manifest.files:
            return None
        return InWorkers.of(spark, load, bundle.read(file))

    return make


ENGINES: Mapping[str, Kind] = {
    "onnx": Kind(_in_workers(onnx.load, ONNX)),
    "openvino": Kind(_in_workers(openvino.load, ONNX)),
    "openvino-int8": Kind(_in_workers(openvino.load, INT8), ROUNDED),
    "systemds": Kind(Systemds.of),
}
"""All engines, by their names on the wire."""


@dataclass(frozen=True)
class Verdict:
    """An engine's result on the golden set; `fault` says why it may not score, None if it may."""

    engine: str
    images_per_s: float
    fault: str | None

    def __str__(self) -> str:
        """For a line of progress."""
        return f"{self.engine} {self.fault or f'{self.images_per_s:,.0f} images/s'}"


class Choice(NamedTuple):
    """An engine that may score, its name, and the verdicts on all engines that were tried."""

    name: str
    engine: AnyEngine
    verdicts: list[Verdict]


def choose(
    spark: SparkSession, bundle: Bundle, title: str, engine: str, stop: threading.Event
) -> Choice:
    """The engine of this name, or with AUTO the fastest of those that reproduce the golden set.

    `title` is the model's name in errors. Raises SettingsError for an unknown engine, BundleError
    if no engine passes, and Stopping if `stop` is set before all were tried.
    """
    if engine != AUTO and engine not in ENGINES:
        message = (
            f"There is no engine {engine!r}. The engines are {', '.join(ENGINES)}, and {AUTO} for "
            f"the fastest. Choose one with --engine."
        )
        raise SettingsError(message)
    golden, engines = bundle.golden, {}
    verdicts = []
    for name in ENGINES if engine == AUTO else (engine,):
        engines[name], verdict = _tried(spark, bundle, title, name, golden)
        check(stop)
        verdicts.append(verdict)
    sound = [verdict for verdict in verdicts if verdict.fault is None]
    best = max(sound, key=lambda verdict: verdict.images_per_s, default=None)
    for name, candidate in engines.items():
        if candidate is not None and (best is None or name != best.engine):
            candidate.close()
    fastest = None if best is None else engines[best.engine]
    if best is None or fastest is None:
        message = (
            f"Model {title} fails its golden set: {'; '.join(map(str, verdicts))}. A model must "
            f"answer as it did when it was trained. Train again, or choose another --engine."
        )
        raise BundleError(message)
    return Choice(best.engine, fastest, verdicts)


def _tried(
    spark: SparkSession, bundle: Bundle, title: str, name: str, golden: Golden
) -> tuple[AnyEngine | None, Verdict]:
    """An engine and its verdict; raises BundleError for a model that is not self-contained."""
    kind, engine = ENGINES[name], None
    try:
        engine = kind.make(spark, bundle, title)
        if engine is None:
            return None, Verdict(name, 0.0, "has no model in the bundle")
        trial = engine.run_trial(bundle.manifest.scaling.apply(golden.inputs))
    except ReachesOutside as exc:  # no sound bundle has such a model: none of it is used
        message = (
            f"Model {title} {exc}. A model must need only its own file, and must terminate. Train "
            f"again, or export the model accordingly."
        )
        raise BundleError(message) from exc
    except TookTooLong as exc:
        return engine, Verdict(name, 0.0, f"is too slow: {exc}")
    except Exception as exc:  # whatever a model raises is reported as its fault
        return engine, Verdict(name, 0.0, f"raised {_last_line(exc)}")
    return engine, Verdict(name, trial.images_per_s, fault(trial, golden, kind.bounds))


def fault(trial: Trial, golden: Golden, bounds: Bounds) -> str | None:
    """Why an engine may not score, None if it may."""
    shape, expected = trial.probabilities.shape, golden.probabilities.shape
    if shape != expected:
        return f"gave {shape} for {quantity(expected[0], 'image')} of {expected[1]} classes"
    if not np.isfinite(trial.probabilities).all():
        return "gave probabilities that are not finite"
    classes, right = (array.argmax(axis=1) for array in (trial.probabilities, golden.probabilities))
    images = quantity(len(right), "image")
    same = int(np.count_nonzero(classes == right))
    if same < least(bounds.agreement, len(right)):
        return f"gave another class for {len(right) - same} of {images}"
    lost = int(np.sum(right == golden.labels)) - int(np.sum(classes == golden.labels))
    if lost > most(bounds.accuracy, len(right)):
        return f"is right for {lost} fewer of {images}"
    return None


def _last_line(error: Exception) -> str:
    """The last line of an error, or of the worker's error that its text contains."""
    raised = RAISED.findall(str(error)) or str(error).splitlines() or [type(error).__name__]
    return shorten(raised[-1], 200, placeholder=" ...").rstrip(".")
