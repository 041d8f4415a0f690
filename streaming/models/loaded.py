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
from streaming.engines import AnyEngine
from streaming.engines.deadline import until
from streaming.engines.trials import choose

Tell = Callable[[str], object]
"""Reports a sentence to whoever runs the query; a `Notice` is one that they must read."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A registered model, checked and loaded: its name on the wire, its bundle, its engine, and an
    image (1, H, W, C) of its golden set.
    """

    model: Model
    bundle: Bundle
    engine: AnyEngine
    golden: Pixels

    @property
    def title(self) -> str:
        """The model's name in errors."""
        return f"{self.model.name} {self.model.version}"


def load_version(
    spark: SparkSession,
    registered: RegisteredVersion,
    bundle: Bundle,
    engine: str,
    tell: Tell,
    stop: threading.Event,
) -> Loaded:
    """Load a version with the named engine, or with the fastest; raises what `choose` does."""
    title = f"{registered.name} {registered.version}"
    choice = choose(spark, bundle, title, engine, stop)
    if len(choice.verdicts) > 1:
        tried = ", ".join(map(str, choice.verdicts))
        tell(f"{choice.name} scores with {title}; on its golden set: {tried}.")
    model = Model(registered.name, registered.version, choice.name)
    return Loaded(model, bundle, choice.engine, bundle.golden.inputs[:1])


class Loader:
    """Loads versions for one query until `stop` is set, with the engine that was chosen first where
    possible.
    """

    def __init__(self, spark: SparkSession, engine: str, tell: Tell, stop: threading.Event) -> None:
        self._spark, self._tell, self._stop = spark, tell, stop
        self._named = self._engine = engine

    def load(self, registered: RegisteredVersion, bundle: Bundle) -> Loaded:
        """Load a version, whose bundle was read, with an engine that reproduces its golden set.

        Raises BundleError, SettingsError for an unknown engine, and Stopping.
        """
        with until(self._spark.sparkContext, self._stop):
            try:
                loaded = self._load(registered, bundle, self._engine)
            except BundleError:
                if self._named != AUTO or self._engine == AUTO:
                    raise
                loaded = self._load(registered, bundle, AUTO)
        self._engine = loaded.model.engine
        return loaded

    def _load(self, registered: RegisteredVersion, bundle: Bundle, engine: str) -> Loaded:
        return load_version(self._spark, registered, bundle, engine, self._tell, self._stop)


def check_same_images(current: Bundle, new: Bundle) -> None:
    """Raise BundleError unless both models take the same images."""
    if current.manifest.input_shape != new.manifest.input_shape:
        message = (
            f"It takes images of {new.manifest.input_shape}, but this query's have "
            f"{current.manifest.input_shape}. A query has one shape: start another query for it."
        )
        raise BundleError(message)
