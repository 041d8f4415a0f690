"""`digitstream demo`: train, stream, score and report, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from contract.quantities import quantity
from contract.settings.programs import Scoring
from digitstream import flags, terminal
from digitstream.commands.accounts import table as reconciliation
from digitstream.grid import Grid

if TYPE_CHECKING:
    from digitstream.demo.report import Report


@flags.settings(
    Scoring, *flags.KAFKA, "master", "prefix", *flags.REGISTRY, "data", "seed", "engine"
)
def demo(
    inputs: flags.Inputs,
    readings: Annotated[int, typer.Option(min=1, help="Readings to send.")] = 10_000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 3,
    as_json: flags.AsJson = False,
) -> None:
    """Train, stream readings, score and account for each of them, then report."""
    settings = inputs.load(Scoring)
    from digitstream.demo import demo as program
    from digitstream.machine.subcommands import stop_on_signals

    with stop_on_signals():
        report = program.run(settings, program.Plan(readings, epochs))
    terminal.report(report.to_json(), lambda: picture(report), as_json)
    terminal.say(f"{settings.home / program.REPORT} has these figures, report/ the plots.")
    program.check_report(report, settings.home / "logs" / "score.log")


def picture(report: Report) -> list[Grid | str]:
    """The report for a person."""
    value = report.to_json()
    train, latency = value["train"], value["latency_ms"]
    labelled = quantity(value["labelled"], "reading")
    rows = {
        "training": f"{train['seconds']:.0f} s, {train['images_per_s']:.0f} images/s, "
        f"accuracy {train['accuracy']:.2%} on held-out images",
        "engine": value["engine"],
        "accuracy of the stream": f"{value['accuracy']:.2%} of {labelled}",
        "readings/s": f"{value['readings_per_s']:.0f} ({value['offered_per_s']} were offered)",
        f"latency to {value['latency_to']}": ", ".join(
            f"{name} {milliseconds:.0f} ms" for name, milliseconds in latency.items()
        ),
    }
    figures = Grid(("figure", "value"), list(rows.items()), title="The demo's report")
    counts = [(reason, str(count)) for reason, count in value["dead_letters_by_reason"].items()]
    letters = Grid(("dead letters", "count"), counts, right=("count",))
    note = (
        f"The figures leave out the {value['warm_up_readings']} readings sent before to warm up "
        f"the query."
    )
    return [figures, confusion(report), letters, *reconciliation([report.reconciliation]), note]


def confusion(report: Report) -> Grid:
    """The confusion matrix, with a row for each true class."""
    classes = [str(name) for name in report.classes]
    rows = [
        (name, *(str(count) if count else "" for count in counts))
        for name, counts in zip(classes, report.confusion.tolist(), strict=True)
    ]
    return Grid(("true \\ predicted", *classes), rows, right=classes)
