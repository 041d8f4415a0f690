"""The engines that run a bundle's model, all with the same answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import DataFrame

from streaming.steps.frame import Features, Frame, Probabilities, Step
from streaming.steps.metrics import Metrics
from streaming.steps.score import Scorer


class Trial(NamedTuple):
    """An engine's probabilities (N, K) for some images, and its speed."""

    probabilities: Probabilities
    images_per_s: float
    """On all cores, after a warm-up."""


class Engine(ABC):
    """A runtime with a bundle's model loaded."""

    @abstractmethod
    def run_trial(self, features: Features) -> Trial:
        """Score these images (N, H, W, C) and measure the speed; raises whatever the model does."""

    @abstractmethod
    def close(self) -> None:
        """Release whatever the model holds on the executors."""


class WorkerEngine(Engine):
    """An engine that scores in the workers, where the readings are; it is a Scorer."""

    @abstractmethod
    def ready(self) -> None:
        """Load the model in this worker."""

    @abstractmethod
    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of a frame's good readings (M)."""

    @abstractmethod
    def sample(self, features: Features) -> Probabilities:
        """Probabilities (1, K) of one image (1, H, W, C)."""


class DriverEngine(Engine):
    """An engine that scores a whole micro-batch on the driver, before the workers answer."""

    @abstractmethod
    def score(self, records: DataFrame, steps: Mapping[str, Step], metrics: Metrics) -> Scorer:
        """Score the records that pass the steps; returns a scorer that looks the results up in the
        workers.

        Adds to the metrics; raises ModelFailed.
        """


AnyEngine = WorkerEngine | DriverEngine
