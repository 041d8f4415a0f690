"""`digitstream reconcile`: account for every reading."""

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
    from digitstream.health.query_state import QueryState

COUNTS = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")
REPLAYED = ("replayed", "recovered", "duplicate_ids")


@flags.settings((Scoring, History), *flags.KAFKA, "prefix", "subscribe", "name", *flags.TABLES)
def reconcile(
    inputs: flags.Inputs, origin: flags.From = flags.Origin.TOPICS, as_json: flags.AsJson = False
) -> None:
    """Check by partition and offset that each reading has one answer; exits with 1 if not.

    Readings before the query's first one (--from-timestamp) do not count.
    """
    settings = inputs.load(Scoring)
    open_transactions: list[OpenTransaction] = []
    if origin is flags.Origin.TABLES:
        state, reconciliations = _from_tables(settings, inputs.load(History))
    else:
        settings = flags.with_broker(settings)
        state, reconciliations, open_transactions = _from_topics(settings)
    complete = all(topic.complete for topic in reconciliations)
    counts = (*COUNTS, *REPLAYED)
    totals = {count: sum(topic.total(count) for topic in reconciliations) for count in counts}
    value = {
        "complete": complete,
        **totals,
        "earlier": sum(topic.earlier for topic in reconciliations),
        "recreated": [*state.recreated],
        "foreign": asdict(reconciliations[0].foreign),
        "open_transactions": [*map(asdict, open_transactions)],
        "topics": [
            {"topic": topic.topic, "partitions": [*map(asdict, topic.partitions)]}
            for topic in reconciliations
        ],
        "replays": [*map(asdict, reconciliations[0].replays)],
    }
    terminal.report(
        value, lambda: table(reconciliations, state.recreated, open_transactions), as_json
    )
    raise typer.Exit(0 if complete else 1)


def _from_tables(settings: Scoring, history: History) -> tuple[QueryState, list[Reconciliation]]:
    """The query's state, and for each topic it reads the accounts of the archived readings."""
    from digitstream.accounts import tables
    from digitstream.health.query_state import QueryState
    from digitstream.machine import needs
    from streaming.archive.tables import READINGS

    with terminal.activity("Counting"), needs.open_tables(history) as place:
        id = place.readings_id(READINGS)
        state = QueryState.read(settings, dict.fromkeys(settings.input_topics, id))
        return state, [
            tables.reconcile(place, topic, state.begun(topic), state.committed(topic))
            for topic in settings.input_topics
        ]


def _from_topics(
    settings: Scoring,
) -> tuple[QueryState, list[Reconciliation], list[OpenTransaction]]:
    """The query's state, the accounts of each topic it reads, and the open transactions."""
    from contract.kafka.offsets import open_log
    from digitstream.accounts import topic_reader
    from digitstream.accounts.topics import Mark, reconcile
    from digitstream.health.query_state import QueryState

    with terminal.activity("Counting"), topic_reader.open_reader(settings.kafka) as reader:
        state = QueryState.of(settings)
        reconciliations = [
            reconcile(
                reader,
                replace(settings.topics, readings=topic),
                Mark(state.begun(topic), {}, {}, {}),
                state.committed(topic),
                state.committed(settings.topics.replays),
                state.ids,
            )
            for topic in settings.input_topics
        ]
        with open_log(settings.kafka) as log:
            answers = (settings.topics.scores, settings.topics.dead_letters)
            topics = [*settings.input_topics, settings.topics.replays, *answers]
            return state, reconciliations, log.open_transactions(topics)


def table(
    reconciliations: Sequence[Reconciliation],
    recreated: Mapping[str, str] | None = None,
    open_transactions: Sequence[OpenTransaction] = (),
) -> list[Grid | str]:
    """Reconciliations for a person: for each topic a row per partition, the totals and the gaps;
    then the replays of all topics, the topics that were `recreated`, and the open transactions.
    """
    parts: list[Grid | str] = [
        _rows(f"Readings of {topic.topic}", topic.partitions) for topic in reconciliations
    ]
    if any(part.produced for part in reconciliations[0].replays):
        parts.append(_rows("Replays of dead letters", reconciliations[0].replays))
        dead, replayed, recovered, repeated = (
            sum(topic.total(count) for topic in reconciliations)
            for count in ("dead_lettered", *REPLAYED)
        )
        parts.append(
            f"Of {quantity(dead, 'dead-lettered reading')} {quantity(replayed, 'was', 'were')} "
            f"sent again and answered, {recovered} with a score; "
            f"{quantity(repeated, 'score repeats', 'scores repeat')} an id, which a consumer drops."
        )
    for topic in reconciliations:
        if topic.earlier:
            parts.append(
                f"{quantity(topic.earlier, 'answer names', 'answers name')} another id "
                f"than that of the topic {topic.topic}, as answers to an earlier topic of its name "
                f"do: they are not counted here."
            )
    parts.extend(reconciliations[0].foreign.sentences("answers"))
    if recreated:
        parts.append(
            f"Deleted and recreated since the query read it: {'; '.join(recreated.values())}. "
            f"`digitstream score --skip-lost` answers the readings that are there now."
        )
    parts.extend(str(transaction) for transaction in open_transactions)
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
