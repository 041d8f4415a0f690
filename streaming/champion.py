"""Which model scores a micro-batch: asked of the registry at its start, loaded when it is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from contract import bundle
from contract.bundle import Bundle
from contract.errors import SettingsError
from contract.events import Model
from contract.registry import Registry
from streaming.engines import Engine
from streaming.engines.onnx import Onnx
from streaming.engines.systemds import Systemds

ENGINES: Mapping[str, Callable[[SparkSession, Bundle, str], Engine]] = {
    "onnx": Onnx.of,
    "systemds": Systemds.of,
}
"""What makes each engine of a session, a bundle and the name that errors give the model."""


@dataclass(frozen=True, eq=False)
class Champion:
    """A registered model, loaded: its name on the wire, its bundle, its engine."""

    model: Model
    bundle: Bundle
    engine: Engine

    @property
    def title(self) -> str:
        """What errors call the model."""
        return f"{self.model.name} {self.model.version}"


class Champions:
    """The champion of one micro-batch after another; keeps the last one loaded."""

    def __init__(self, spark: SparkSession, registry: Registry, engine: str) -> None:
        """Raises SettingsError for an engine that is not in ENGINES."""
        if engine not in ENGINES:
            message = (
                f"There is no engine {engine!r}. The engines are {' and '.join(ENGINES)}. Choose "
                f"one of them with --engine."
            )
            raise SettingsError(message)
        self._spark, self._registry, self._engine = spark, registry, engine
        self._loaded: Champion | None = None

    def current(self) -> Champion:
        """The champion of now; raises NoChampion, RegistryUnavailable and BundleError."""
        found = self._registry.resolve()
        model = Model(found.name, found.version, self._engine)
        if self._loaded is None or self._loaded.model != model:
            checked = bundle.load(found.folder)
            engine = ENGINES[self._engine](self._spark, checked, f"{model.name} {model.version}")
            self.close()
            self._loaded = Champion(model, checked, engine)
        return self._loaded

    def close(self) -> None:
        """Let go of the model that is loaded."""
        if self._loaded is not None:
            self._loaded.engine.close()
            self._loaded = None
