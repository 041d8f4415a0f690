"""The programs that run a bundle's model, each with the same answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import DataFrame

from streaming.steps.frame import Features, Frame, Probabilities, Step
from streaming.steps.metrics import Metrics
from streaming.steps.score import Scorer


class Trial(NamedTuple):
    """What an engine made of some images: probabilities (N, K), and its pace."""

    probabilities: Probabilities
    images_per_s: float
    """With all cores at work, once it is warm."""


class Engine(ABC):
    """A program with a bundle's model loaded."""

    @abstractmethod
    def run_trial(self, features: Features) -> Trial:
        """What it makes of these images (N, H, W, C), and how fast; raises what the model does."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the model holds on the executors."""


class WorkerEngine(Engine):
    """An engine that scores in the workers, where the readings are: itself a Scorer."""

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
    """An engine that scores a micro-batch as a whole on the driver, before its workers answer."""

    @abstractmethod
    def score(self, records: DataFrame, steps: Mapping[str, Step], metrics: Metrics) -> Scorer:
        """What the records score that the steps find good, which its workers look up.

        What it does is added to the metrics; raises ModelFailed.
        """


AnyEngine = WorkerEngine | DriverEngine
