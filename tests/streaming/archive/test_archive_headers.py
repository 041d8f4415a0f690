"""Headers of answers and labels: what the contract refuses has no row but in `unread`."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from contract.errors import BadEvent
from contract.wire.events import DeadLetter, Label, Score
from contract.wire.headers import CONTENT_TYPE, ID, TIME
from contract.wire.messages import Message
from streaming.archive.tables import DEAD_LETTERS, LABELS, SCORES, Table
from tests.streaming.archive.test_archive_columns import ASKED, LETTER, TAKEN, TOPIC_ID, rows, utc

__all__ = ["utc"]

pytestmark = pytest.mark.spark


def altered(message: Message, name: str, *values: bytes | None) -> Message:
    """The message with these values for a header."""
    rest = [header for header in message.headers if header[0] != name]
    return message._replace(headers=[*rest, *((name, value) for value in values)])


NO_ATTRIBUTES: list[tuple[str, tuple[bytes | None, ...]]] = [
    ("ce_type", ()),
    ("ce_source", (b"",)),
    (CONTENT_TYPE, (None,)),
    (ID, (b"lab.readings/1/41", b"lab.readings/1/42")),
    (TIME, (b"2026-03-01T00:00:00Z\n",)),
    ("ce_specversion", (b"0.3",)),
]
NO_PLACES = [b"lab.readings/1/ 41", b"lab.readings/1/041", b"lab.readings/+1/41", b"lab/1/2/3"]
NO_NUMBERS = [
    ("offset", (b"07",)),
    ("offset", (b"7\n",)),
    ("partition", (b"1" * 10,)),
    ("attempt", (b"0",)),
    ("attempt", (b" 1",)),
    ("topic-id", (TOPIC_ID.encode(), TOPIC_ID.encode())),
    ("topic-id", (b"short",)),
    ("topic", (b"",)),
    ("replay-of", (b"zz",)),
    ("replay-of", (b"lab.readings/0/1", b"lab.readings/0/1")),
]


@pytest.mark.parametrize(
    ("table", "event", "wrong"),
    [
        (SCORES, ASKED, [*NO_ATTRIBUTES, *((ID, (place,)) for place in NO_PLACES)]),
        (LABELS, Label("a", 7, TAKEN), NO_ATTRIBUTES),
        (DEAD_LETTERS, LETTER, NO_NUMBERS),
    ],
    ids=["score", "label", "letter"],
)
def test_headers_that_the_contract_refuses_are_null_in_the_table(
    utc: SparkSession,
    table: Table,
    event: Score | Label | DeadLetter,
    wrong: list[tuple[str, tuple[bytes | None, ...]]],
) -> None:
    sent = [altered(event.message(), name, *values) for name, values in wrong]
    for message, row in zip(sent, rows(utc, table, *sent), strict=True):
        with pytest.raises(BadEvent):
            type(event).of(*message)
        assert row["unread"] is not None, message.headers
