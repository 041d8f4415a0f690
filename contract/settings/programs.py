"""The settings of each program: small frozen objects whose defaults suit a laptop.

`contract.settings.sources` makes them from flags, the environment and digitstream.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Literal

from contract.data.datasets import SAMPLE
from contract.errors import BrokerUnavailable
from contract.kafka.connection import Kafka, Security
from contract.model.manifest import Colour
from contract.model.registry import Registry
from contract.model.scaling import Invert
from contract.wire.topics import Topics

Payload = Literal["raw", "png", "json"]
Engine = Literal["auto", "onnx", "openvino", "openvino-int8", "systemds"]


@dataclass(frozen=True)
class Settings:
    """What every program of an installation shares."""

    home: Path = Path(".digitstream")
    """The folder of everything that is kept: broker, registry, checkpoints, reports."""

    bootstrap_servers: str | None = None
    """Kafka, `host:port` with commas between several; None is the embedded one of `home`.
    What flags and variables say goes before the profile, and that before the file."""

    kafka_profile: str | None = None
    """The table [kafka.NAME] of digitstream.toml that says where Kafka is and how it is reached."""

    security: Security | None = None
    """What the profile says; None is without any protection."""

    master: str = "local[*,4]"
    """Spark's master. On this machine a task that failed is tried again, as on a cluster."""

    spark_secret_file: Path | None = None
    """A file with the secret of the master's cluster, by which all of Spark's connections are
    authenticated and encrypted; None leaves that to Spark's own configuration."""

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
    def kafka(self) -> Kafka:
        """Kafka, and the way to it; raises BrokerUnavailable if it was left to the embedded broker.

        The front door puts the embedded broker's address in before it starts a program.
        """
        if self.bootstrap_servers is None:
            message = (
                "No Kafka is named. A program needs one. Give --bootstrap-servers, or start the "
                "embedded one with `digitstream broker start`."
            )
            raise BrokerUnavailable(message)
        return Kafka(self.bootstrap_servers, self.security or Security())


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

    clock_skew: float = 0.002
    """Seconds by which a device's clock is off at most."""

    label_delay: float = 5.0
    """Seconds between a reading and its label."""


@dataclass(frozen=True)
class Scoring(Settings):
    """What the scoring query does."""

    engine: Engine = "auto"
    """What runs the model; "auto" is the fastest that keeps to the golden set."""

    name: str = "scoring"
    """The query's name, and its checkpoint's below `home`."""

    max_offsets_per_trigger: int = 5_000
    """Readings in a micro-batch at most."""

    max_latency: float | None = None
    """Seconds that a reading is to wait for its score at most: micro-batches get as small as that
    needs, but never so small that the query falls behind for it. None is no limit but
    `max_offsets_per_trigger`."""

    trigger: float = 0.0
    """Seconds from one micro-batch to the next; 0 begins each as soon as the last one ended."""

    available_now: bool = False
    """Score what is there and end, rather than wait for more."""

    from_timestamp: datetime | None = None
    """Where a query that has not begun yet begins: at the first reading that Kafka stored then or
    later; None is the oldest that is there."""

    skip_lost: bool = False
    """Go on without readings that Kafka forgot before they were answered."""

    subscribe: str = ""
    """Topics of readings, with commas between several; none is PREFIX.readings."""

    canary: float = 0.0
    """Share of the devices that the challenger answers."""

    shadow: float = 0.0
    """Share of the readings that the challenger scores besides, to a topic of its own."""

    guard_readings: int = 1_000
    """First readings of a new model that the one before it scores too; 0 is none."""

    guard_agreement: float = 0.9
    """Share of these to which both must give one class, or the new one is rolled back."""

    guard_slowness: float = 3.0
    """How many times as long as the one before it a new model may take for them."""

    @property
    def read(self) -> tuple[str, ...]:
        """The topics of readings, each once."""
        named = [topic.strip() for topic in self.subscribe.split(",")]
        return tuple(dict.fromkeys(filter(None, named))) or (self.topics.readings,)

    @property
    def checkpoint(self) -> Path:
        """The folder in which Spark keeps how far the query is."""
        return self.home.resolve() / "checkpoints" / self.name

    @property
    def known_topics(self) -> tuple[Path, Path]:
        """The file beside it that says which topics the query has read, and its copy within."""
        note = self.checkpoint.with_name(f"{self.name}.topics.json")
        return note, self.checkpoint / "topics.json"

    @property
    def group(self) -> str:
        """The consumer group in which Kafka keeps how far the query is."""
        return f"{self.prefix}-{self.name}"


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
class Asking(History):
    """How a query of the tables is answered."""

    query_timeout: float = 600.0
    """Seconds that it may take."""


@dataclass(frozen=True)
class Archiving(History):
    """How the topics become tables."""

    trigger: float = 10.0
    """Seconds from one commit to the next, unless there is more to do than fits one."""

    batch_records: int = 100_000
    """Records of a topic in a commit at most."""

    available_now: bool = False
    """Archive what is there and end, rather than wait for more."""


@dataclass(frozen=True)
class Rescoring(Scoring):
    """What is scored again, by which version, and where to."""

    version: str = ""
    """The version that scores, as `digitstream models list` has it; none is the champion."""

    topic: str = ""
    """Where the scores go."""

    to_timestamp: datetime | None = None
    """The first reading that Kafka stored then or later is no longer scored; None is the end."""


@dataclass(frozen=True)
class Training(Settings):
    """How a model is trained."""

    epochs: int = 4
    """Passes over the training images."""

    batch_size: int = 100
    """Images in a step."""

    invert: Invert = "never"
    """Whether the model's bundle has dark digits on light inverted, or light ones on dark where it
    was trained on dark ones: "auto" looks at each image's border."""

    colour: Colour = "refuse"
    """Whether the model's bundle has a PNG in colours made grey ("convert")."""
