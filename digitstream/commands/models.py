"""`digitstream models`: the versions of the model and which of them scores."""

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
    str, typer.Argument(metavar="VERSION", help="Its number, as `models list` shows it.")
]
OtherNumber = Annotated[str, typer.Argument(metavar="OTHER", help="The number of another version.")]
ACCURACY = "test_accuracy"
"""The metric of a run that is listed: of the images that were held out."""

SHOWN = 20
"""Readings of which versions differ that are listed for a person."""

Compared = Annotated[
    list[str] | None,
    typer.Option(
        help="Another topic with scores, of `score --topic`; may be given several times. "
        "[default: none]"
    ),
]
Folder = Annotated[Path, typer.Argument(help="Folder for asyncapi.yaml and schemas/.")]
Alias = Annotated[str, typer.Option(help="What the version becomes: champion or challenger.")]


@app.command("list")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def list_(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """List the versions, the newest first."""
    with terminal.activity("Asking the registry"):
        versions = given.load(Settings).registry.versions()
    value = {"versions": [asdict(version) for version in versions]}
    none = "There is no version yet. `digitstream train` makes one."
    terminal.report(value, lambda: _table(versions) if versions else none, as_json)


@app.command(short_help="Show one version: its metrics and its bundle.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def show(given: flags.Given, version: VersionNumber, as_json: flags.AsJson = False) -> None:
    """Show one version: its metrics and, if it has an alias, what its bundle says."""
    from contract.errors import NoChampion
    from contract.model import bundle

    registry = given.load(Settings).registry
    with terminal.activity("Asking the registry"):
        known = registry.versions()
    found = next((each for each in known if each.version == version), None)
    if found is None:
        there = ", ".join(each.version for each in known) or "none"
        message = (
            f"Model {registry.model} has no version {version}; there is {there}. `digitstream "
            f"models list` shows them."
        )
        raise NoChampion(message)
    value: dict[str, Any] = asdict(found)
    if found.aliases:
        folder = registry.resolve(found.aliases[0]).folder
        value |= {"folder": str(folder), "manifest": asdict(bundle.load(folder).manifest)}
    title = f"Version {version} of {registry.model}"
    terminal.report(value, lambda: Grid(("what", "value"), [*_facts(value)], title=title), as_json)


def _facts(value: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Each fact with its name, a part's after that of the whole."""
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
    """The images on which a figure of a run, or of its bundle, was measured."""
    if within == "metrics " and metric.startswith("val_"):
        return "images held out, after the last epoch"
    is_evaluation = within != "metrics " or metric.startswith("test_")
    return "images held out" if is_evaluation else "training images, in the last epoch"


@app.command(short_help="Make a version the champion.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def promote(
    given: flags.Given,
    version: VersionNumber,
    alias: Alias = "champion",
    as_json: flags.AsJson = False,
) -> None:
    """Make a version the champion, which a running query takes without a restart."""
    from contract.errors import SettingsError
    from contract.model.registry import CHALLENGER, CHAMPION

    if alias not in (CHAMPION, CHALLENGER):
        message = (
            f"--alias {alias} is none that scoring knows: it must be {CHAMPION} or {CHALLENGER}. "
            f"Give one of these."
        )
        raise SettingsError(message)
    registry = given.load(Settings).registry
    with terminal.activity("Promoting"):
        registry.promote(version, alias)
    value = {"model": registry.model, "version": version, "alias": alias}
    sentence = f"Version {version} of {registry.model} is {alias} now."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Write the AsyncAPI document for senders.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY, "prefix")
def asyncapi(given: flags.Given, folder: Folder, as_json: flags.AsJson = False) -> None:
    """Write the AsyncAPI document for those who send readings to the champion, and its schemas."""
    from contract.errors import SettingsError
    from contract.model import bundle, document

    settings = given.load(Settings)
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


@app.command(short_help="Make the champion before this one champion again.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def rollback(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """Make the champion before this one champion again."""
    registry = given.load(Settings).registry
    with terminal.activity("Rolling back"):
        gone, back = registry.rollback()
    value = {"model": registry.model, "version": back, "rolled_back": gone}
    sentence = f"Version {back} of {registry.model} is champion again, {gone} no longer."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Take the alias challenger away.")
@flags.settings(Settings, *flags.HOME, *flags.REGISTRY)
def dismiss(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """Take the alias challenger from the version that has it."""
    from contract.model.registry import CHALLENGER

    registry = given.load(Settings).registry
    with terminal.activity("Dismissing"):
        version = registry.resolve(CHALLENGER).version
        registry.remove_alias(version, CHALLENGER, "dismissed by hand")
    value = {"model": registry.model, "version": version, "alias": CHALLENGER}
    sentence = f"Version {version} of {registry.model} is challenger no longer."
    terminal.report(value, lambda: sentence, as_json)


@app.command(short_help="Compare two versions on the same readings.")
@flags.settings(Settings, *flags.KAFKA, "prefix")
def compare(
    given: flags.Given,
    one: VersionNumber,
    other: OtherNumber,
    topic: Compared = None,
    as_json: flags.AsJson = False,
) -> None:
    """Compare two versions on the readings that both scored: where they differ, which is right."""
    from digitstream.accounts import topic_reader
    from digitstream.health import comparison

    settings = flags.connected(given.load(Settings))
    with terminal.activity("Comparing"), topic_reader.reading(settings.kafka) as reader:
        found = comparison.compared(reader, settings.topics, topic or [], (one, other))
    value = {
        "versions": found.versions,
        "readings": found.both,
        "agreement": found.agreement,
        "classes": found.classes,
        "matrix": found.matrix.tolist(),
        "changed": found.changed,
        "labelled": found.labelled,
        "right": found.right,
    }
    terminal.report(value, lambda: _comparison(found), as_json)


def _table(versions: list[Version]) -> Grid:
    rows = []
    for each in versions:
        accuracy = each.metrics.get(ACCURACY)
        shown = "-" if accuracy is None else f"{accuracy:.2%}"
        made = each.created.isoformat(timespec="seconds")
        rows.append((each.version, ", ".join(each.aliases), shown, made, each.removed or ""))
    measure = "accuracy on images held out"
    columns = ("version", "aliases", measure, "made", "removed because")
    return Grid(columns, rows, right=(measure,))


def _comparison(found: Comparison) -> list[Grid | str]:
    """A comparison for a person: the matrix, and the first readings of which both differ."""
    one, other = found.versions
    names = [str(name) for name in found.classes]
    counts = [
        (name, *(str(count) if count else "" for count in row))
        for name, row in zip(names, found.matrix.tolist(), strict=True)
    ]
    parts: list[Grid | str] = [Grid((f"{one} \\ {other}", *names), counts, right=names)]
    if found.changed:
        changed = [(source, str(a), str(b)) for source, a, b in found.changed[:SHOWN]]
        parts.append(Grid(("reading", one, other), changed, title="They differ"))
    right = ", ".join(
        f"{version} has {count / found.labelled:.2%} right"
        for version, count in zip(found.versions, found.right, strict=True)
        if found.labelled
    )
    readings = quantity(found.both, "reading")
    parts.append(
        f"Both give one class to {found.agreement:.2%} of {readings}, and differ in "
        f"{len(found.changed)} (--json has them all). Of {found.labelled} with a label "
        f"{right or 'nothing is known'}."
    )
    return parts
