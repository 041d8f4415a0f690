"""`digitstream score`: score readings as they arrive, or past ones again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from contract.quantities import quantity
from contract.settings.programs import History, Rescoring, Scoring
from digitstream import flags, terminal

From = Annotated[
    flags.Origin,
    typer.Option(
        "--from",
        help="With --topic: where to read from: topics (what Kafka still has) or tables (what the "
        "archive has).",
    ),
]


@flags.settings(
    (Rescoring, History),
    *flags.KAFKA,
    *flags.SPARK,
    "prefix",
    *flags.REGISTRY,
    *flags.specific_to(Rescoring),
    *flags.TABLES,
)
def score(
    inputs: flags.Inputs, origin: From = flags.Origin.TOPICS, as_json: flags.AsJson = False
) -> None:
    """Score readings as they arrive, until stopped (Ctrl-C, SIGTERM)."""
    from contract.errors import SettingsError

    again = inputs.load(Rescoring)
    archived = origin is flags.Origin.TABLES
    if not again.topic and (again.version or again.to_timestamp is not None or archived):
        message = (
            "--version, --to-timestamp and --from are for scoring past readings again, to a topic "
            "of its own. Name that with --topic, or leave them out: then the champion scores until "
            "it is stopped."
        )
        raise SettingsError(message)
    settings = flags.with_broker(inputs.load(Scoring))
    from digitstream.machine import needs

    needs.find_java()
    if again.topic:
        history = inputs.load(History) if archived else None
        _score_again(flags.with_broker(again), history, as_json)
        return
    connector = needs.fetch_connector()
    from contract.choices import AUTO
    from streaming.query import program

    engine = "" if settings.engine == AUTO else f" with {settings.engine}"
    with terminal.activity(f"Scoring {', '.join(settings.input_topics)}{engine}"):
        summary = program.run(settings, connector, terminal.say)
    letters = quantity(summary.dead_letters, "dead letter")
    sentence = f"{quantity(summary.scored, 'reading')} scored, {letters}."
    terminal.report(asdict(summary), lambda: sentence, as_json)


def _score_again(settings: Rescoring, history: History | None, as_json: bool) -> None:
    from digitstream.machine import needs
    from streaming.query import rescoring

    needed = needs.fetch_connector() if history is None else needs.fetch_delta()
    what = (
        ", ".join(settings.input_topics)
        if history is None
        else f"the readings of {history.address}"
    )
    with terminal.activity(f"Scoring {what} again, to {settings.topic}"):
        summary = rescoring.run(settings, needed, terminal.say, history)
    sentence = (
        f"{quantity(summary.scored, 'reading')} scored to {settings.topic}; "
        f"{summary.dead_letters} cannot be."
    )
    terminal.report(asdict(summary), lambda: sentence, as_json)
