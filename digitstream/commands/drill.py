"""`digitstream drill`: break things on purpose, and see what is promised of that."""

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
    str, typer.Argument(metavar="list|all|NAME", help="The drill to run, all of them, or list.")
]
Minutes = Annotated[float, typer.Option(min=1, help="Minutes that the drill soak takes.")]
RESULT = {True: "kept", False: "BROKEN", None: "not tried"}


@flags.settings(Scoring, *flags.HOME, "master", *flags.REGISTRY, "data")
def drill(
    given: flags.Given, name: Name, minutes: Minutes = 60, as_json: flags.AsJson = False
) -> None:
    """Break something, with a broker and a checkpoint of its own; exits with 1 if a promise breaks.

    The champion of HOME does the scoring. The soak is not one of `all`.
    """
    from digitstream import drills

    if name == "list":
        value: dict[str, Any] = {
            "drills": [
                {"name": each.name, "promise": each.promise} for each in drills.DRILLS.values()
            ]
        }
        terminal.report(value, _listed, as_json)
        return
    chosen = drills.chosen(name)
    from digitstream.drills.drill import tried
    from digitstream.drills.ground import ground as grounds
    from digitstream.machine.subcommands import stoppable

    settings = given.load(Scoring)
    outcomes: list[Outcome] = []
    with stoppable(), terminal.progress("Drills") as advance:
        with grounds.prepared(settings, minutes, terminal.say) as ground:
            for number, each in enumerate(chosen):
                advance(number, len(chosen), each.name)
                outcomes.append(tried(each, ground(each.name)))
        advance(len(chosen), len(chosen), "")
    kept = not any(outcome.kept is False for outcome in outcomes)
    value = {"kept": kept, "drills": [asdict(outcome) for outcome in outcomes]}
    terminal.report(value, lambda: _table(outcomes), as_json)
    raise typer.Exit(0 if kept else 1)


def _listed() -> Grid:
    from digitstream import drills

    rows = [(each.name, each.promise) for each in drills.DRILLS.values()]
    return Grid(("drill", "what is broken, and what is promised"), rows)


def _table(outcomes: list[Outcome]) -> Grid:
    rows = [
        (each.name, each.promise, each.seen, RESULT[each.kept], f"{each.seconds:.0f}")
        for each in outcomes
    ]
    return Grid(("drill", "promised", "seen", "promise", "s"), rows, right=("s",))
