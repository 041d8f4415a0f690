"""The settings of each program: small frozen objects whose defaults suit a laptop.

`contract.configuration` makes them from flags, the environment and digitstream.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from contract.datasets import SAMPLE
from contract.errors import BrokerUnavailable
from contract.registry import Registry
from contract.topics import Topics

Payload = Literal["raw", "png", "json"]
Engine = Literal["onnx", "systemds"]


@dataclass(frozen=True)
class Settings:
    """What every program of an installation shares."""

    home: Path = Path(".digitstream")
    """The folder of everything that is kept: broker, registry, checkpoints, reports."""

    bootstrap_servers: str | None = None
    """Kafka, `host:port` with commas between several; None is the embedded one of `home`."""

    master: str = "local[*]"
    """Spark's master."""

    prefix: str = "digits"
    """What the topics' names begin with."""

    partitions: int = 2
    """Of each topic that we create."""

    model: str = "digits"
    """The model's name in the registry."""

    tracking_uri: str | None = None
    """An MLflow server; None is a SQLite file in `home`."""

    data: str = SAMPLE
    """Where images come from: "sample", an IDX folder or a folder of PNGs."""

    seed: int = 28
    """Of everything that is drawn by chance."""

    @property
    def topics(self) -> Topics:
        """The topics' names."""
        return Topics.named(self.prefix)

    @property
    def registry(self) -> Registry:
        """The registry of the model's versions; a new object that asks nothing yet."""
        home = self.home.resolve()
        own = f"sqlite:///{(home / 'mlflow.db').as_posix()}"
        return Registry(self.tracking_uri or own, home / "mlartifacts", self.model)

    @property
    def kafka(self) -> str:
        """Kafka's address; raises BrokerUnavailable if it was left to the embedded broker.

        The front door puts the embedded broker's address in before it starts a program.
        """
        if self.bootstrap_servers is None:
            message = (
                "No Kafka is named. A program needs one. Give --bootstrap-servers, or start the "
                "embedded one with `digitstream broker start`."
            )
            raise BrokerUnavailable(message)
        return self.bootstrap_servers


@dataclass(frozen=True)
class Producing(Settings):
    """What the simulated devices do."""

    count: int = 10_000
    """Readings to send."""

    rate: float = inf
    """Readings a second; infinite is as fast as Kafka takes them."""

    devices: int = 50
    """Simulated devices that take turns at random."""

    payload: Payload = "raw"
    """How an image is encoded."""

    faults: str = ""
    """Shares of readings that are faulty on purpose, as `producers.faults` reads them."""

    label_delay: float = 5.0
    """Seconds between a reading and its label."""


@dataclass(frozen=True)
class Scoring(Settings):
    """What the scoring query does."""

    engine: Engine = "onnx"
    """What runs the model."""

    name: str = "scoring"
    """The query's name, and its checkpoint's below `home`."""

    max_offsets_per_trigger: int = 5_000
    """Readings in a micro-batch at most."""

    available_now: bool = False
    """Score what is there and end, rather than wait for more."""


@dataclass(frozen=True)
class History(Settings):
    """Where the tables are that hold what went over the topics."""

    tables: str | None = None
    """A folder, or what Hadoop knows by hdfs://, s3a:// and the like; None is in `home`."""

    packages: str = ""
    """Maven coordinates, with commas, of what Spark needs besides to reach them."""

    @property
    def address(self) -> str:
        """The tables' folder as Hadoop names it."""
        named = self.tables or str(self.home / "tables")
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/", named):
            return named.rstrip("/")
        return f"file:{Path(named).expanduser().resolve().as_posix()}"


@dataclass(frozen=True)
class Archiving(History):
    """How the topics become tables."""

    interval: float = 10.0
    """Seconds from one commit to the next, unless there is more to do than fits one."""

    batch_records: int = 100_000
    """Records of a topic in a commit at most."""

    available_now: bool = False
    """Archive what is there and end, rather than wait for more."""


@dataclass(frozen=True)
class Training(Settings):
    """How a model is trained."""

    epochs: int = 4
    """Passes over the training images."""

    batch_size: int = 100
    """Images in a step."""
