"""`digitstream reconcile`: what became of the readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from contract.quantities import quantity
from contract.settings.programs import History, Scoring
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from contract.kafka.transactions import OpenTransaction
    from digitstream.accounts.topics import Partition, Reconciliation

COUNTS = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")
REPLAYED = ("replayed", "recovered", "duplicate_ids")


@flags.settings((Scoring, History), *flags.KAFKA, "prefix", "subscribe", "name", *flags.TABLES)
def reconcile(
    given: flags.Given, origin: flags.From = flags.Origin.TOPICS, as_json: flags.AsJson = False
) -> None:
    """Account for every reading by partition and offset; exits with 1 if one is missing.

    Those before the first that the query was to read (--from-timestamp) do not count.
    """
    from contract.kafka.offsets import open_log
    from digitstream.accounts import topic_reader
    from digitstream.accounts import topics as accounts
    from digitstream.health.query_state import QueryState

    held: list[OpenTransaction] = []
    settings = given.load(Scoring)
    if origin is flags.Origin.TABLES:
        from digitstream.accounts import tables as archived
        from digitstream.machine import needs
        from streaming.archive.tables import READINGS

        with (
            terminal.activity("Counting"),
            needs.tables(given.load(History)) as place,
        ):
            id = place.readings_id(READINGS)
            state = QueryState.read(settings, dict.fromkeys(settings.input_topics, id))
            found = [
                archived.reconcile(place, topic, state.begun(topic), state.committed(topic))
                for topic in settings.input_topics
            ]
    else:
        settings = flags.connected(settings)
        with terminal.activity("Counting"), topic_reader.reading(settings.kafka) as reader:
            state = QueryState.of(settings)
            found = [
                accounts.reconcile(
                    reader,
                    replace(settings.topics, readings=topic),
                    accounts.Mark(state.begun(topic), {}, {}, {}),
                    state.committed(topic),
                    state.committed(settings.topics.replays),
                    state.ids,
                )
                for topic in settings.input_topics
            ]
            with open_log(settings.kafka) as log:
                answers = (settings.topics.scores, settings.topics.dead_letters)
                held = log.open_transactions(
                    [*settings.input_topics, settings.topics.replays, *answers]
                )
    complete = all(each.complete for each in found)
    totals = {count: sum(each.total(count) for each in found) for count in (*COUNTS, *REPLAYED)}
    topics = [
        {"topic": each.topic, "partitions": [*map(asdict, each.partitions)]} for each in found
    ]
    replays = [*map(asdict, found[0].replays)]
    value = {
        "complete": complete,
        **totals,
        "earlier": sum(each.earlier for each in found),
        "recreated": [*state.recreated],
        "foreign": asdict(found[0].foreign),
        "open_transactions": [*map(asdict, held)],
        "topics": topics,
        "replays": replays,
    }
    terminal.report(value, lambda: table(*found, recreated=state.recreated, held=held), as_json)
    raise typer.Exit(0 if complete else 1)


def table(
    *found: Reconciliation,
    recreated: Mapping[str, str] | None = None,
    held: Sequence[OpenTransaction] = (),
) -> list[Grid | str]:
    """Reconciliations for a person: of each topic a row each partition, one for all, the gaps; then
    the replays, which are those of all topics, what is said of topics that were `recreated`, and
    what is held back.
    """
    parts: list[Grid | str] = [
        _rows(f"Readings of {each.topic}", each.partitions) for each in found
    ]
    if any(part.produced for part in found[0].replays):
        parts.append(_rows("Replays of dead letters", found[0].replays))
        dead, replayed, recovered, repeated = (
            sum(each.total(count) for each in found) for count in ("dead_lettered", *REPLAYED)
        )
        parts.append(
            f"Of {quantity(dead, 'dead-lettered reading')} {quantity(replayed, 'was', 'were')} "
            f"sent again and answered, {recovered} with a score; "
            f"{quantity(repeated, 'score repeats', 'scores repeat')} an id, which a consumer drops."
        )
    for reconciliation in found:
        if reconciliation.earlier:
            parts.append(
                f"{quantity(reconciliation.earlier, 'answer names', 'answers name')} another id "
                f"than that of the topic {reconciliation.topic}, as those to an earlier topic of "
                f"its name do: not counted here."
            )
    parts.extend(found[0].foreign.told("answers"))
    if recreated:
        parts.append(
            f"Deleted and made anew since the query read it: {'; '.join(recreated.values())}. "
            f"`digitstream score --skip-lost` answers the readings that are there now."
        )
    parts.extend(str(transaction) for transaction in held)
    return parts


def _rows(title: str, partitions: list[Partition]) -> Grid:
    names = [count.replace("_", " ") for count in COUNTS]
    totals = [str(sum(getattr(part, count) for part in partitions)) for count in COUNTS]
    rows = []
    for part in partitions:
        gaps = ", ".join(f"{first}-{last}" for first, last in part.gaps[:5])
        more = " ..." if len(part.gaps) > 5 else ""
        counts = (str(getattr(part, count)) for count in COUNTS)
        rows.append([str(part.partition), *counts, gaps + more])
    return Grid(
        ("partition", *names, "gaps"), rows, title=title, right=names, last=["all", *totals, ""]
    )
