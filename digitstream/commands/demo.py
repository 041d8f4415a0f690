"""`digitstream demo`: the whole way once."""

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
    given: flags.Given,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images. [default: 3]")
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Train, stream 10,000 readings, score and account for every one; then report."""

    settings = given.load(Scoring)
    from digitstream.demo import demo as whole
    from digitstream.machine.subcommands import stoppable

    with stoppable():
        plan = whole.Plan() if epochs is None else whole.Plan(epochs=epochs)
        made = whole.run(settings, plan)
    terminal.report(made.to_json(), lambda: picture(made), as_json)
    terminal.say(f"{settings.home / whole.REPORT} has these figures, report/ their pictures.")
    whole.check(made, settings.home / "logs" / "score.log")


def picture(made: Report) -> list[Grid | str]:
    """The report for a person."""
    value = made.to_json()
    train, latency = value["train"], value["latency_ms"]
    labelled = quantity(value["labelled"], "reading")
    rows = {
        "training": f"{train['seconds']:.0f} s, {train['images_per_s']:.0f} images/s, "
        f"accuracy {train['accuracy']:.2%} on images held out",
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
        f"{value['warm_up_readings']} readings before these warmed the query up; they are in none "
        f"of the figures."
    )
    return [figures, confusion(made), letters, *reconciliation(made.reconciliation), note]


def confusion(made: Report) -> Grid:
    """The confusion matrix: a row for each true class."""
    classes = [str(name) for name in made.classes]
    rows = [
        (name, *(str(count) if count else "" for count in counts))
        for name, counts in zip(classes, made.confusion.tolist(), strict=True)
    ]
    return Grid(("true \\ predicted", *classes), rows, right=classes)
