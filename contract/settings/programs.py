"""The settings of each program, whose defaults suit a laptop.

A setting is declared here and nowhere else: `contract.settings.sources` reads its flag, its
variable and its line in digitstream.toml, and docs/settings.md lists it.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from contract import choices
from contract.errors import BrokerUnavailable
from contract.settings import rules
from contract.settings.rules import one_of, whole
from contract.settings.setting import setting, settings_class
from contract.wire.topics import Topics

if TYPE_CHECKING:
    from contract.kafka.connection import Kafka, Security
    from contract.model.registry import Registry


@settings_class
class Settings:
    """The settings that all programs share."""

    home: Path = setting(Path(".digitstream"), rules.path, "Folder for all data of digitstream.")
    bootstrap_servers: str | None = setting(
        None, rules.servers, "Addresses of an existing Kafka cluster.", unset="the embedded broker"
    )
    kafka_profile: str | None = setting(
        None,
        rules.profile,
        "Name of a connection profile: the table [kafka.NAME] in digitstream.toml or in "
        "HOME/profiles.toml, with addresses, TLS and login.",
    )
    security: Security | None = None
    """TLS and login, from the profile; None for plaintext without a login."""
    master: str = setting("local[*,4]", rules.text, "Spark master URL, like spark://HOST:PORT.")
    spark_secret_file: Path | None = setting(
        None,
        rules.existing_file,
        "File with the Spark cluster's secret. If set, Spark's connections are authenticated and "
        "encrypted.",
    )
    prefix: str = setting("digits", rules.prefix, "Prefix of all topic names.")
    partitions: int = setting(2, whole(1, 10_000), "Number of partitions of each new topic.")
    model: str = setting("digits", rules.model, "Name of the model in the registry.")
    tracking_uri: str | None = setting(
        None,
        rules.tracking_uri,
        "MLflow registry: http://HOST:PORT of a server, or sqlite:///FILE.",
        unset="a SQLite file in HOME",
    )
    data: str = setting(
        choices.SAMPLE,
        rules.folder,
        'Images to use: "sample" (10,000 MNIST digits), a folder of IDX files, or a folder with '
        "one subfolder of PNGs per label.",
    )
    seed: int = setting(28, rules.seed, "Seed for all random choices.")

    @property
    def topics(self) -> Topics:
        """The topics' names."""
        return Topics.named(self.prefix)

    @property
    def registry(self) -> Registry:
        """The registry of the model's versions; a new object that has not connected yet."""
        # It imports NumPy, which settings do not need.
        from contract.model.registry import Registry  # noqa: PLC0415

        home = self.home.resolve()
        local = f"sqlite:///{(home / 'mlflow.db').as_posix()}"
        return Registry(self.tracking_uri or local, home / "mlartifacts", self.model)

    @property
    def kafka(self) -> Kafka:
        """Kafka's address and security; raises BrokerUnavailable if no address is set.

        The command line fills in the embedded broker's address before it starts a program.
        """
        from contract.kafka.connection import Kafka, Security  # noqa: PLC0415  (it needs OpenSSL)

        if self.bootstrap_servers is None:
            message = (
                "No Kafka address is set. A program needs one. Set --bootstrap-servers, or start "
                "the embedded broker with `digitstream broker start`."
            )
            raise BrokerUnavailable(message)
        return Kafka(self.bootstrap_servers, self.security or Security())


@settings_class
class Producing(Settings):
    """Settings of the simulated devices."""

    count: int = setting(10_000, whole(1), "Number of readings to send.")
    rate: float = setting(inf, rules.rate, "Readings per second, or max.")
    devices: int = setting(50, whole(1, 1_000_000), "Number of simulated devices.")
    payload: choices.Payload = setting(
        "raw", one_of(get_args(choices.Payload)), "Encoding of the images: raw, png or json."
    )
    faults: str = setting(
        "",
        rules.any_text,
        "Share of deliberately faulty readings, like 1%, or KIND=SHARE,... with the kinds "
        "malformed, wrong-shape, empty, oversized, not-an-image, bad-headers and duplicate.",
    )
    clock_skew: float = setting(0.002, rules.seconds, "Largest error of a device's clock, like 7h.")
    label_delay: float = setting(5.0, rules.seconds, "Delay of a label after its reading, like 2m.")


@settings_class
class Scoring(Settings):
    """Settings of the scoring query."""

    engine: choices.EngineChoice = setting(
        choices.AUTO,
        one_of(get_args(choices.EngineChoice)),
        "Runtime for the model: onnx, openvino, openvino-int8, systemds, or auto, the fastest that "
        "predicts the golden set's classes.",
    )
    max_offsets_per_trigger: int = setting(20_000, whole(1), "Maximum readings per micro-batch.")
    max_latency: float = setting(
        5.0,
        rules.positive_seconds,
        "Target for the longest wait for a score, like 500ms; the size of micro-batches adapts.",
    )
    compression: choices.Compression = setting(
        "lz4",
        one_of(get_args(choices.Compression)),
        "Compression of scores and dead letters: lz4, zstd, snappy, gzip, or none.",
    )
    trigger: float = setting(0.0, rules.seconds, "Interval between micro-batches, like 1s.")
    available_now: bool = setting(False, rules.flag, "Score all stored readings, then exit.")
    from_timestamp: datetime | None = setting(
        None,
        rules.time,
        "Start at the first reading that Kafka stored at or after this time, like "
        "2026-01-31T09:15:00Z. Only for a new query, or with --topic.",
        unset="the oldest reading",
    )
    skip_lost: bool = setting(
        False,
        rules.flag,
        "Continue even if Kafka deleted readings that had no answer yet.",
    )
    subscribe: str = setting(
        "",
        rules.topics,
        "Input topics with readings.",
        unset="PREFIX.readings",
    )
    name: str = setting("scoring", rules.query, "Name of the scoring query and of its checkpoint.")
    canary: float = setting(
        0.0,
        rules.share,
        "Share of the devices that the challenger scores, like 10%.",
    )
    shadow: float = setting(
        0.0,
        rules.share,
        "Share of readings that the challenger also scores, to PREFIX.shadow-scores, like 10%.",
    )
    guard_readings: int = setting(
        1_000,
        whole(0),
        "Number of readings for which a new version is compared with the previous one; 0 turns "
        "this guard off.",
    )
    guard_agreement: float = setting(
        0.9,
        rules.share,
        "Minimum share of these readings for which both versions predict the same class; below it, "
        "the new version is rolled back.",
    )
    guard_slowness: float = setting(
        3.0,
        rules.factor,
        "Maximum scoring time of the new version, as a multiple of the previous one's; above it, "
        "the new version is rolled back.",
    )

    @property
    def input_topics(self) -> tuple[str, ...]:
        """The topics of readings, without duplicates."""
        names = [topic.strip() for topic in self.subscribe.split(",")]
        return tuple(dict.fromkeys(filter(None, names))) or (self.topics.readings,)

    @property
    def checkpoint(self) -> Path:
        """The folder of Spark's checkpoint of the query."""
        return self.home.resolve() / "checkpoints" / self.name

    @property
    def topics_files(self) -> tuple[Path, Path]:
        """The file that lists the topics the query has read, next to the checkpoint, and its copy
        inside.
        """
        beside = self.checkpoint.with_name(f"{self.name}.topics.json")
        return beside, self.checkpoint / "topics.json"

    @property
    def group(self) -> str:
        """The consumer group whose offsets in Kafka follow the query."""
        return f"{self.prefix}-{self.name}"


@settings_class
class History(Settings):
    """Where the tables with the archived topics are."""

    tables: str | None = setting(
        None,
        rules.address,
        "Folder of the tables: a path, or a URL like hdfs://... or s3a://...",
        unset="HOME/tables",
    )
    packages: str = setting(
        "",
        rules.packages,
        "Additional Maven packages that Spark needs to read and write the tables, "
        "GROUP:ARTIFACT:VERSION,...",
    )

    @property
    def address(self) -> str:
        """The tables' folder as a Hadoop URL."""
        folder = self.tables or str(self.home / "tables")
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/", folder):
            return folder.rstrip("/")
        return f"file:{Path(folder).expanduser().resolve().as_posix()}"


@settings_class
class Querying(History):
    """Settings of an SQL query of the tables."""

    query_timeout: float = setting(
        600.0, rules.positive_seconds, "Maximum run time of the query, like 30s or 1h."
    )


@settings_class
class Archiving(History):
    """Settings of the query that archives topics in tables."""

    trigger: float = setting(10.0, rules.seconds, "Interval between commits, like 1m.")
    batch_records: int = setting(100_000, whole(1), "Maximum records per topic and commit.")
    available_now: bool = setting(False, rules.flag, "Archive all stored records, then exit.")


@settings_class
class Rescoring(Scoring):
    """Settings for scoring past readings again."""

    version: str = setting(
        "",
        rules.version,
        "With --topic: number of the model version to score with.",
        unset="the champion",
    )
    topic: str = setting(
        "",
        rules.topic,
        "Score past readings again, write the scores to this topic, then exit (docs/models.md).",
    )
    to_timestamp: datetime | None = setting(
        None,
        rules.time,
        "With --topic: stop before the first reading that Kafka stored at or after this time.",
        unset="now",
    )


@settings_class
class Training(Settings):
    """Settings of training."""

    epochs: int = setting(4, whole(1), "Number of passes over the training images.")
    batch_size: int = setting(100, whole(1), "Number of images in a training step.")
    invert: choices.Invert = setting(
        "never",
        one_of(get_args(choices.Invert)),
        "auto: the model inverts images whose ink differs from its training images, such as dark "
        "on light instead of light on dark; never: it scores images as they are.",
    )
    colour: choices.Colour = setting(
        "refuse",
        one_of(get_args(choices.Colour)),
        "What a model for greyscale images does with a colour PNG. convert: it makes the image "
        "grey; refuse: the reading becomes a dead letter.",
    )
