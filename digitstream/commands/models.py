"""`digitstream models`: the versions of the model, and which one scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.quantities import quantity
from contract.settings.programs import Settings
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from contract.model.registry import Version
    from digitstream.health.comparison import Comparison

app = typer.Typer(help="The registered versions of the model.", no_args_is_help=True)

VersionNumber = Annotated[
    str, typer.Argument(metavar="VERSION", help="Version number, as `models list` shows it.")
]
OtherNumber = Annotated[str, typer.Argument(metavar="OTHER", help="Number of another version.")]
ACCURACY = "test_accuracy"
"""The metric of a run that `models list` shows; it is measured on held-out images."""

MOST_DIFFERENCES = 20
"""Readings on which versions differ that are listed for a person."""

Compared = Annotated[
    list[str] | None,
    typer.Option(
        help="Another topic of scores, from `score --topic`; may be repeated. [default: none]"
    ),
]
Folder = Annotated[Path, typer.Argument(help="Folder for asyncapi.yaml and schemas/.")]
Alias = Annotated[str, typer.Option(help="Alias to give it: champion or challenger.")]


@app.command("list")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def list_(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """List the versions, newest first."""
    with terminal.activity("Asking the registry"):
        versions = inputs.load(Settings).registry.versions()
    value = {"versions": [asdict(version) for version in versions]}
    none = "There is no version yet. `digitstream train` creates one."
    terminal.report(value, lambda: _table(versions) if versions else none, as_json)


@app.command(short_help="Show a version: its metrics and its bundle.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def show(inputs: flags.Inputs, version: VersionNumber, as_json: flags.AsJson = False) -> None:
    """Show a version: its metrics and, if it has an alias, the manifest of its bundle."""
    from contract.errors import NoChampion
    from contract.model import bundle

    registry = inputs.load(Settings).registry
    with terminal.activity("Asking the registry"):
        versions = registry.versions()
    by_number = {registered.version: registered for registered in versions}
    registered = by_number.get(version)
    if registered is None:
        message = (
            f"Model {registry.model} has no version {version}. Its versions are "
            f"{', '.join(by_number) or 'none'}. `digitstream models list` shows them."
        )
        raise NoChampion(message)
    value: dict[str, Any] = asdict(registered)
    if registered.aliases:
        folder = registry.resolve(registered.aliases[0]).folder
        value |= {"folder": str(folder), "manifest": asdict(bundle.load(folder).manifest)}
    title = f"Version {version} of {registry.model}"
    terminal.report(value, lambda: Grid(("what", "value"), [*_facts(value)], title=title), as_json)


def _facts(value: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Each fact with its name; nested names follow the name that holds them."""
    for name, fact in value.items():
        if isinstance(fact, Mapping):
            yield from _facts(fact, f"{within}{name} ")
        elif isinstance(fact, list | tuple):
            yield f"{within}{name}", ", ".join(map(str, fact)) or "-"
        elif within.endswith("metrics "):
            yield f"{within}{name} ({_images(within, name)})", str(fact)
        else:
            yield f"{within}{name}", "-" if fact is None else str(fact)


def _images(within: str, metric: str) -> str:
    """The images on which a metric of a run, or of its bundle, was measured."""
    if within == "metrics " and metric.startswith("val_"):
        return "held-out images, after the last epoch"
    is_evaluation = within != "metrics " or metric.startswith("test_")
    return "held-out images" if is_evaluation else "training images, in the last epoch"


@app.command(short_help="Make a version the champion.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def promote(
    inputs: flags.Inputs,
    version: VersionNumber,
    alias: Alias = "champion",
    as_json: flags.AsJson = False,
) -> None:
    """Make a version the champion; a running query takes it over without a restart."""
    from contract.errors import SettingsError
    from contract.model.registry import CHALLENGER, CHAMPION

    if alias not in (CHAMPION, CHALLENGER):
        message = (
            f"--alias {alias} is unknown: it must be {CHAMPION} or {CHALLENGER}. Give one of these."
        )
        raise SettingsError(message)
    registry = inputs.load(Settings).registry
    with terminal.activity("Promoting"):
        registry.promote(version, alias)
    value = {"model": registry.model, "version": version, "alias": alias}
    sentence = f"Version {version} of {registry.model} is {alias} now."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Write the AsyncAPI document for senders.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY, "prefix")
def asyncapi(inputs: flags.Inputs, folder: Folder, as_json: flags.AsJson = False) -> None:
    """Write the AsyncAPI document, with schemas, for senders of readings to the champion."""
    from contract.errors import SettingsError
    from contract.model import bundle, document

    settings = inputs.load(Settings)
    manifest = bundle.load(settings.registry.resolve().folder).manifest
    expects = document.expected(manifest.input_shape, manifest.scaling, manifest.colour)
    try:
        file = document.write(folder, settings.prefix, expects)
    except OSError as exc:
        message = (
            f"{folder} cannot be written ({exc.strerror}). The document and its schemas go there. "
            f"Choose a folder that may be written."
        )
        raise SettingsError(message) from exc
    terminal.report({"file": str(file), "expects": expects}, lambda: f"{file}: {expects}", as_json)


@app.command(short_help="Go back to the previous champion.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def rollback(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Make the previous champion the champion again."""
    registry = inputs.load(Settings).registry
    with terminal.activity("Rolling back"):
        gone, back = registry.rollback()
    value = {"model": registry.model, "version": back, "rolled_back": gone}
    sentence = f"Version {back} of {registry.model} is champion again, {gone} no longer."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Remove the challenger.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def dismiss(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Remove the alias challenger from the version that has it."""
    from contract.model.registry import CHALLENGER

    registry = inputs.load(Settings).registry
    with terminal.activity("Dismissing"):
        version = registry.resolve(CHALLENGER).version
        registry.remove_alias(version, CHALLENGER, "dismissed by hand")
    value = {"model": registry.model, "version": version, "alias": CHALLENGER}
    sentence = f"Version {version} of {registry.model} is no longer challenger."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Compare two versions on the same readings.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def compare(
    inputs: flags.Inputs,
    first: VersionNumber,
    second: OtherNumber,
    topic: Compared = None,
    as_json: flags.AsJson = False,
) -> None:
    """Compare two versions on the readings that both scored: where they differ, which is right."""
    from digitstream.accounts import topic_reader
    from digitstream.health import comparison

    settings = flags.with_broker(inputs.load(Settings))
    with terminal.activity("Comparing"), topic_reader.open_reader(settings.kafka) as reader:
        result = comparison.compare(reader, settings.topics, topic or [], (first, second))
    value = {
        "versions": result.versions,
        "readings": result.both,
        "agreement": result.agreement,
        "classes": result.classes,
        "matrix": result.matrix.tolist(),
        "changed": result.changed,
        "labelled": result.labelled,
        "right": result.right,
    }
    terminal.report(value, lambda: _comparison(result), as_json)


def _table(versions: list[Version]) -> Grid:
    rows = []
    for version in versions:
        accuracy = version.metrics.get(ACCURACY)
        percent = "-" if accuracy is None else f"{accuracy:.2%}"
        created = version.created.isoformat(timespec="seconds")
        aliases = ", ".join(version.aliases)
        rows.append((version.version, aliases, percent, created, version.removed or ""))
    measure = "accuracy on held-out images"
    columns = ("version", "aliases", measure, "created", "removed because")
    return Grid(columns, rows, right=(measure,))


def _comparison(comparison: Comparison) -> list[Grid | str]:
    """A comparison for a person: the matrix, and the first readings on which they differ."""
    first, second = comparison.versions
    names = [str(name) for name in comparison.classes]
    counts = [
        (name, *(str(count) if count else "" for count in row))
        for name, row in zip(names, comparison.matrix.tolist(), strict=True)
    ]
    parts: list[Grid | str] = [Grid((f"{first} \\ {second}", *names), counts, right=names)]
    if comparison.changed:
        changed = [
            (source, str(a), str(b)) for source, a, b in comparison.changed[:MOST_DIFFERENCES]
        ]
        parts.append(Grid(("reading", first, second), changed, title="They differ"))
    right = ", ".join(
        f"{version} has {count / comparison.labelled:.2%} right"
        for version, count in zip(comparison.versions, comparison.right, strict=True)
        if comparison.labelled
    )
    readings = quantity(comparison.both, "reading")
    parts.append(
        f"Both give the same class to {comparison.agreement:.2%} of {readings}, and differ on "
        f"{len(comparison.changed)} (--json has them all). Of {comparison.labelled} with a label, "
        f"{right or 'nothing is known'}."
    )
    return parts
