"""A model of the registry that is ready to score."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import SparkSession

from contract.choices import AUTO
from contract.errors import BundleError
from contract.model.bundle import Bundle
from contract.model.registry import RegisteredVersion
from contract.wire.events import Model
from contract.wire.images import Pixels
from streaming.engines import Engine
from streaming.engines.deadline import until
from streaming.engines.trials import chosen

Tell = Callable[[str], object]
"""Takes a sentence for whoever runs the query; a `Notice` is one that they must read."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A registered model, checked and loaded: its name on the wire, its bundle, its engine, and one
    image (1, H, W, C) of its golden set.
    """

    model: Model
    bundle: Bundle
    engine: Engine
    golden: Pixels

    @property
    def title(self) -> str:
        """What errors call the model."""
        return f"{self.model.name} {self.model.version}"


def engaged(
    spark: SparkSession,
    found: RegisteredVersion,
    checked: Bundle,
    engine: str,
    tell: Tell,
    stop: threading.Event,
) -> Loaded:
    """A version with the engine of this name, or with the fastest; raises what `chosen` does."""
    title = f"{found.name} {found.version}"
    choice = chosen(spark, checked, title, engine, stop)
    if len(choice.trials) > 1:
        tried = ", ".join(map(str, choice.trials))
        tell(f"{choice.name} scores with {title}; on its golden set: {tried}.")
    model, golden = Model(found.name, found.version, choice.name), checked.golden.inputs[:1]
    return Loaded(model, checked, choice.engine, golden)


class Loader:
    """Loads versions for one query until `stop` is set, each with the engine that was chosen first,
    if it can.
    """

    def __init__(self, spark: SparkSession, engine: str, tell: Tell, stop: threading.Event) -> None:
        self._spark, self._tell, self._stop = spark, tell, stop
        self._named = self._engine = engine

    def load(self, found: RegisteredVersion, checked: Bundle) -> Loaded:
        """A version, whose bundle was read, with an engine that keeps to its golden set.

        Raises BundleError, SettingsError for an engine that there is not, and Stopping.
        """
        with until(self._spark.sparkContext, self._stop):
            try:
                loaded = self._engaged(found, checked, self._engine)
            except BundleError:
                if self._named != AUTO or self._engine == AUTO:
                    raise
                loaded = self._engaged(found, checked, AUTO)
        self._engine = loaded.model.engine
        return loaded

    def _engaged(self, found: RegisteredVersion, checked: Bundle, engine: str) -> Loaded:
        return engaged(self._spark, found, checked, engine, self._tell, self._stop)


def alike(one: Bundle, other: Bundle) -> None:
    """Raise BundleError unless both models take the same images."""
    if one.manifest.input_shape != other.manifest.input_shape:
        message = (
            f"It takes images of {other.manifest.input_shape}, and those that come have "
            f"{one.manifest.input_shape}. One query has one shape: start another for it."
        )
        raise BundleError(message)
