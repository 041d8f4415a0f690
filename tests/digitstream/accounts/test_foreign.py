"""Records of others on our topics hide nothing that lies there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contract.errors import SettingsError
from contract.kafka.offsets import open_log
from contract.settings.programs import Scoring
from contract.wire.messages import Message
from digitstream.accounts.topic_reader import TopicReader
from digitstream.dead_letters.detail import read_detail
from digitstream.dead_letters.listing import read_listing
from digitstream.health.status import status
from streaming.query import program
from tests.contract.wire.test_events import PROGRESS
from tests.digitstream.dead_letters.test_listing import Again, Wire, again, reader, wire

__all__ = ["again", "reader", "wire"]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.kafka
def test_letters_are_listed_shown_and_replayed(
    wire: Wire, reader: TopicReader, again: Again
) -> None:
    wire.put(wire.topics.dead_letters, *[Message(None, b"x", [("stage", b"x")])] * 12)
    wire.letters(wire.letter(3))
    found = read_listing(reader, wire.topics, last=5)
    assert [letter.offset for letter in found.letters] == [3]
    assert (found.total, found.foreign.count, len(found.foreign.places)) == (1, 12, 10)
    assert found.foreign.places[0] == f"{wire.topics.dead_letters}/0/0"
    assert read_detail(reader, wire.topics, wire.at(3)).letter.offset == 3
    assert again().sent == 1


@pytest.mark.kafka
def test_the_last_micro_batch_is_the_one_that_kafka_has_last(
    wire: Wire, reader: TopicReader
) -> None:
    settings = Scoring(
        bootstrap_servers=wire.settings.bootstrap_servers, prefix=wire.settings.prefix
    )
    forged = replace(PROGRESS, time=datetime(9999, 1, 1, tzinfo=UTC), batch=99)
    last = replace(PROGRESS, time=NOW, batch=4)
    wire.put(wire.topics.progress, forged.message())
    wire.put(wire.topics.progress, last.message(), Message(b"scoring", b"{", []))
    with open_log(settings.kafka) as log:
        seen = status(reader, log, settings, NOW + timedelta(seconds=5))
    assert (seen.last, seen.seconds_ago) == (last, 5.0)


@pytest.mark.parametrize("kind", ["scores", "dead-letters", "progress", "labels", "shadow-scores"])
def test_what_the_query_writes_is_not_what_it_reads(kind: str) -> None:
    settings = Scoring(subscribe=f"digits.readings,digits.{kind}")
    with pytest.raises(
        SettingsError, match=rf"digits\.{kind} cannot be subscribed to: .* with --subscribe\."
    ):
        program.run(settings, [], print)
