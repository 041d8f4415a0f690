"""`digitstream drill`: break things on purpose, and check what is promised of that."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.settings.programs import Scoring
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from digitstream.drills.outcome import Outcome

Name = Annotated[
    str, typer.Argument(metavar="list|all|NAME", help="Drill to run, all of them, or list.")
]
Minutes = Annotated[float, typer.Option(min=1, help="Duration of the drill soak, in minutes.")]
RESULT = {True: "kept", False: "BROKEN", None: "not tried"}


@flags.settings(Scoring, *flags.HOME, "master", *flags.REGISTRY, "data")
def drill(
    inputs: flags.Inputs, name: Name, minutes: Minutes = 60, as_json: flags.AsJson = False
) -> None:
    """Break something, on a broker and checkpoint of its own; exits with 1 if a promise is broken.

    The champion of HOME does the scoring. `all` leaves out the soak.
    """
    from digitstream import drills

    if name == "list":
        value: dict[str, Any] = {
            "drills": [
                {"name": drill.name, "promise": drill.promise} for drill in drills.DRILLS.values()
            ]
        }
        terminal.report(value, _drill_table, as_json)
        return
    chosen = drills.select(name)
    from digitstream.drills.drill import run
    from digitstream.drills.ground import ground as grounds
    from digitstream.machine.subcommands import stop_on_signals

    settings = inputs.load(Scoring)
    outcomes: list[Outcome] = []
    with stop_on_signals(), terminal.progress("Drills") as advance:
        with grounds.prepare(settings, minutes, terminal.say) as ground:
            for number, drill in enumerate(chosen):
                advance(number, len(chosen), drill.name)
                outcomes.append(run(drill, ground(drill.name)))
        advance(len(chosen), len(chosen), "")
    all_kept = not any(outcome.kept is False for outcome in outcomes)
    value = {"kept": all_kept, "drills": [asdict(outcome) for outcome in outcomes]}
    terminal.report(value, lambda: _outcome_table(outcomes), as_json)
    raise typer.Exit(0 if all_kept else 1)


def _drill_table() -> Grid:
    from digitstream import drills

    rows = [(drill.name, drill.promise) for drill in drills.DRILLS.values()]
    return Grid(("drill", "what is broken, and what is promised"), rows)


def _outcome_table(outcomes: list[Outcome]) -> Grid:
    rows = [
        (drill.name, drill.promise, drill.seen, RESULT[drill.kept], f"{drill.seconds:.0f}")
        for drill in outcomes
    ]
    return Grid(("drill", "promised", "seen", "promise", "s"), rows, right=("s",))
