"""The settings of each program, whose defaults suit a laptop.

One line here is all there is of a setting: `contract.settings.sources` reads its flag, its variable
and its line in digitstream.toml, and docs/settings.md lists it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from contract.choices import AUTO, SAMPLE, Colour, EngineChoice, Invert, Payload
from contract.errors import BrokerUnavailable
from contract.settings import rules
from contract.settings.rules import one_of, whole
from contract.settings.setting import setting
from contract.wire.topics import Topics

if TYPE_CHECKING:
    from contract.kafka.connection import Kafka, Security
    from contract.model.registry import Registry


@dataclass(frozen=True)
class Settings:
    """What every program of an installation shares."""

    home: Path = setting(Path(".digitstream"), rules.path, "Folder of all that digitstream keeps.")
    bootstrap_servers: str | None = setting(
        None,
        rules.servers,
        "An existing Kafka, host:port, several with commas.",
        unset="the embedded one",
    )
    kafka_profile: str | None = setting(
        None,
        rules.profile,
        "NAME of the table [kafka.NAME] in digitstream.toml, or in HOME/profiles.toml, that says "
        "where Kafka is and who we are.",
    )
    security: Security | None = None
    """What the profile says; None is without any protection."""
    master: str = setting("local[*,4]", rules.text, "Spark's master, like spark://HOST:PORT.")
    spark_secret_file: Path | None = setting(
        None,
        rules.existing_file,
        "File with the secret of the master's cluster: Spark's connections are then authenticated "
        "and encrypted.",
    )
    prefix: str = setting("digits", rules.prefix, "What the topics' names begin with.")
    partitions: int = setting(2, whole(1, 10_000), "Partitions of each topic that is created.")
    model: str = setting("digits", rules.model, "The model's name in the registry.")
    tracking_uri: str | None = setting(
        None,
        rules.tracking_uri,
        "The registry: http://HOST:PORT of an MLflow server, or sqlite:///FILE.",
        unset="a SQLite file in HOME",
    )
    data: str = setting(
        SAMPLE,
        rules.folder,
        '"sample" (10,000 digits of MNIST), a folder of IDX files, or one with a folder of PNGs '
        "for each label.",
    )
    seed: int = setting(28, rules.seed, "Seed for all random choices.")

    @property
    def topics(self) -> Topics:
        """The topics' names."""
        return Topics.named(self.prefix)

    @property
    def registry(self) -> Registry:
        """The registry of the model's versions; a new object that asks nothing yet."""
        # Images and NumPy come with it, which settings do not need.
        from contract.model.registry import Registry  # noqa: PLC0415

        home = self.home.resolve()
        own = f"sqlite:///{(home / 'mlflow.db').as_posix()}"
        return Registry(self.tracking_uri or own, home / "mlartifacts", self.model)

    @property
    def kafka(self) -> Kafka:
        """Kafka, and the way to it; raises BrokerUnavailable if it was left to the embedded broker.

        The front door puts the embedded broker's address in before it starts a program.
        """
        from contract.kafka.connection import Kafka, Security  # noqa: PLC0415  (it needs OpenSSL)

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

    count: int = setting(10_000, whole(1), "Readings to send.")
    rate: float = setting(inf, rules.rate, "Readings a second, or max.")
    devices: int = setting(50, whole(1, 1_000_000), "Simulated devices.")
    payload: Payload = setting(
        "raw", one_of(get_args(Payload)), "How images are sent: raw, png or json."
    )
    faults: str = setting(
        "",
        rules.any_text,
        "Share of the readings that is faulty on purpose, like 1%, or KIND=SHARE,... of the kinds "
        "malformed, wrong-shape, empty, oversized, not-an-image, bad-headers and duplicate.",
    )
    clock_skew: float = setting(
        0.002, rules.seconds, "How far devices' clocks are off at most, like 7h."
    )
    label_delay: float = setting(5.0, rules.seconds, "Time from a reading to its label, like 2m.")


@dataclass(frozen=True)
class Scoring(Settings):
    """What the scoring query does."""

    engine: EngineChoice = setting(
        AUTO,
        one_of(get_args(EngineChoice)),
        "What runs the model: onnx, openvino, openvino-int8, systemds, or auto, the fastest that "
        "gives the golden set its classes.",
    )
    max_offsets_per_trigger: int = setting(5_000, whole(1), "Readings in a micro-batch at most.")
    max_latency: float | None = setting(
        None,
        rules.positive_seconds,
        "Longest wait for a score, like 500ms, if micro-batches keep up.",
    )
    trigger: float = setting(0.0, rules.seconds, "Time from one micro-batch to the next, like 1s.")
    available_now: bool = setting(False, rules.flag, "Score what is there, then end.")
    from_timestamp: datetime | None = setting(
        None,
        rules.time,
        "Begin with the first reading that Kafka stored then or later, like 2026-01-31T09:15:00Z: "
        "for a query that is new, or with --topic.",
        unset="the oldest",
    )
    skip_lost: bool = setting(
        False,
        rules.flag,
        "Go on without the readings that Kafka forgot before they were answered.",
    )
    subscribe: str = setting(
        "",
        rules.topics,
        "Topics of readings, TOPIC,...",
        unset="PREFIX.readings",
    )
    name: str = setting("scoring", rules.query, "Name of the scoring query, and of its checkpoint.")
    canary: float = setting(
        0.0, rules.share, "Share of the devices that the challenger answers, like 10%."
    )
    shadow: float = setting(
        0.0,
        rules.share,
        "Share of the readings that the challenger scores besides, to PREFIX.shadow-scores.",
    )
    guard_readings: int = setting(
        1_000,
        whole(0),
        "How many first readings of a new version are scored by the one before it, too; 0 watches "
        "none.",
    )
    guard_agreement: float = setting(
        0.9,
        rules.share,
        "Share of these to which both must give one class, or the new version is rolled back.",
    )
    guard_slowness: float = setting(
        3.0,
        rules.factor,
        "How many times as long as the one before it the new version may take, or it is rolled "
        "back.",
    )

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

    tables: str | None = setting(
        None,
        rules.address,
        "Folder of the tables, or its address, hdfs://..., s3a://...",
        unset="HOME/tables",
    )
    packages: str = setting(
        "",
        rules.packages,
        "What Spark needs besides to reach the tables, as Maven coordinates, "
        "GROUP:ARTIFACT:VERSION,...",
    )

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

    query_timeout: float = setting(
        600.0, rules.positive_seconds, "Time that the query may take, like 30s or 1h."
    )


@dataclass(frozen=True)
class Archiving(History):
    """How the topics become tables."""

    trigger: float = setting(10.0, rules.seconds, "Time from one commit to the next.")
    batch_records: int = setting(100_000, whole(1), "Records of a topic in a commit at most.")
    available_now: bool = setting(False, rules.flag, "Archive what is there, then end.")


@dataclass(frozen=True)
class Rescoring(Scoring):
    """What is scored again, by which version, and where to."""

    version: str = setting(
        "",
        rules.version,
        "With --topic: the number of the version that scores.",
        unset="the champion",
    )
    topic: str = setting(
        "",
        rules.topic,
        "Score the past once more, to this topic, and end (docs/models.md).",
    )
    to_timestamp: datetime | None = setting(
        None,
        rules.time,
        "With --topic: end before the first reading that Kafka stored then or later.",
        unset="what is there by now",
    )


@dataclass(frozen=True)
class Training(Settings):
    """How a model is trained."""

    epochs: int = setting(4, whole(1), "Passes over the training images.")
    batch_size: int = setting(100, whole(1), "Images in a training step.")
    invert: Invert = setting(
        "never",
        one_of(get_args(Invert)),
        "auto: the model inverts images of another ink than it was trained on, dark on light for "
        "light on dark; never: it takes them as they come.",
    )
    colour: Colour = setting(
        "refuse",
        one_of(get_args(Colour)),
        "convert: a PNG in colours becomes grey, where the model takes grey; refuse: it becomes a "
        "dead letter.",
    )
