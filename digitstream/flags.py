"""The flags of the commands, each said once, and the settings that they make.

A flag that is not given is None: the environment, digitstream.toml or the default decides then.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from digitstream import terminal
from digitstream.terminal import Volume

if TYPE_CHECKING:
    from contract.settings.programs import Settings

    S = TypeVar("S", bound=Settings)
else:
    S = TypeVar("S")

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
"""Of the checkout from which digitstream runs."""

Home = Annotated[
    Path | None, typer.Option(help="Folder of all that digitstream keeps. [default: .digitstream]")
]
BootstrapServers = Annotated[
    str | None,
    typer.Option(
        help="An existing Kafka, host:port, several with commas. [default: the embedded one]"
    ),
]
KafkaProfile = Annotated[
    str | None,
    typer.Option(
        help="NAME of the table [kafka.NAME] in digitstream.toml, or in HOME/profiles.toml, that "
        "says where Kafka is and who we are. [default: none]"
    ),
]
Master = Annotated[
    str | None,
    typer.Option(help="Spark's master, like spark://HOST:PORT. [default: local[*,4]]"),
]
SparkSecretFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the secret of the master's cluster: Spark's connections are then "
        "authenticated and encrypted. [default: none]"
    ),
]
Prefix = Annotated[
    str | None, typer.Option(help="What the topics' names begin with. [default: digits]")
]
Model = Annotated[
    str | None, typer.Option(help="The model's name in the registry. [default: digits]")
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="The registry: http://HOST:PORT of an MLflow server, or sqlite:///FILE. [default: a "
        "SQLite file in HOME]"
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help='"sample" (10,000 digits of MNIST), a folder of IDX files, or one with a folder of '
        "PNGs for each label. [default: sample]"
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed for all random choices. [default: 28]")]
Partitions = Annotated[
    int | None, typer.Option(help="Partitions of each topic that is made. [default: 2]")
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What runs the model: onnx, openvino, openvino-int8, systemds, or auto, the fastest "
        "that gives the golden set its classes. [default: auto]",
    ),
]
Faults = Annotated[
    str | None,
    typer.Option(
        help="Share of the readings that is faulty on purpose, like 1%, or KIND=SHARE,... of the "
        "kinds malformed, wrong-shape, empty, oversized, not-an-image, bad-headers and duplicate. "
        "[default: none]"
    ),
]
Rate = Annotated[str | None, typer.Option(help="Readings a second, or max. [default: max]")]
Count = Annotated[int | None, typer.Option(help="Readings to send. [default: 10000]")]
Devices = Annotated[int | None, typer.Option(help="Simulated devices. [default: 50]")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training images. [default: 4]")]
Subscribe = Annotated[
    str | None, typer.Option(help="Topics of readings, TOPIC,... [default: PREFIX.readings]")
]
Name = Annotated[
    str | None,
    typer.Option(help="Name of the scoring query, and of its checkpoint. [default: scoring]"),
]
Tables = Annotated[
    str | None,
    typer.Option(
        help="Folder of the tables, or its address, hdfs://..., s3a://... [default: HOME/tables]"
    ),
]
Packages = Annotated[
    str | None,
    typer.Option(
        help="What Spark needs besides to reach the tables, as Maven coordinates, "
        "GROUP:ARTIFACT:VERSION,... [default: none]"
    ),
]


class Origin(StrEnum):
    """Where readings and their answers are looked up."""

    TOPICS = "topics"
    TABLES = "tables"


From = Annotated[
    Origin,
    typer.Option(
        "--from", help="What is counted: topics, what Kafka has, or tables, what the archive has."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


def _speak(volume: Volume) -> Callable[[bool], None]:
    def set_volume(is_given: bool) -> None:
        if is_given:
            terminal.set_volume(volume)

    return set_volume


def _print_version(is_given: bool) -> None:
    if is_given:
        project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
        terminal.report({}, lambda: f"{project['name']} {project['version']}", False)
        raise typer.Exit


def _done_at_once(*names: str, help: str, callback: Callable[[bool], None]) -> Any:
    """A flag that no command gets to see."""
    return Annotated[
        bool, typer.Option(*names, help=help, callback=callback, expose_value=False, is_eager=True)
    ]


Verbose = _done_at_once(
    "--verbose",
    "-v",
    help="Say more: what libraries log, and where an error comes from.",
    callback=_speak(Volume.VERBOSE),
)
Quiet = _done_at_once(
    "--quiet",
    "-q",
    help="Say nothing but reports, warnings and errors.",
    callback=_speak(Volume.QUIET),
)
Version = _done_at_once("--version", help="Print the version, and end.", callback=_print_version)


def loaded(kind: type[S], arguments: Mapping[str, object]) -> S:
    """The settings of a program: a command's arguments, the environment, the file, the defaults.

    Arguments that are no settings of this program (--json, say) stay with the command.
    """
    from contract.settings.sources import load

    names = {field.name for field in fields(kind)}
    given = {name: value for name, value in arguments.items() if name in names}
    return load(kind, given, os.environ)


def connected(settings: S) -> S:
    """The settings with the embedded broker's address, unless another Kafka is named.

    Raises BrokerUnavailable when the embedded one is meant and does not run, and AccessDenied when
    it takes a profile to get in.
    """
    from digitstream.kafka import server

    if settings.bootstrap_servers is not None:
        return settings
    return replace(settings, bootstrap_servers=server.address(settings.home))
