"""A reading that is sent again is answered as itself, and nobody else can say that it is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.wire.events import DeadLetter, Replay, Score, Source
from contract.wire.headers import Header
from contract.wire.messages import Message
from streaming.spark.sink import LARGEST
from streaming.steps.decode import decoded
from streaming.steps.frame import Frame
from tests.streaming.odd import ODD
from tests.streaming.records import SHAPE, TOPIC, reading, records
from tests.streaming.steps.test_pipeline import KNOWN, MESSAGES, TOPICS, agrees, answers

FIRST = Source(TOPIC, 0, 7)

REPLAY = Source(TOPICS.replays, 1, 0, KNOWN.id_of(TOPICS.replays))


def replayed(message: Message, first: Source = FIRST, attempt: int = 2) -> Message:
    """A reading as it is sent again."""
    return Replay(first, attempt, message.key, message.value, tuple(message.headers)).message()


def test_a_replay_is_answered_under_the_id_of_its_first_reading() -> None:
    agrees([replayed(reading(1)), replayed(reading(2), attempt=9)], TOPICS.replays)
    score, letter = answers(
        records(
            [replayed(reading(1)), replayed(reading(2, payload=b""), attempt=4)], 0, TOPICS.replays
        )
    )
    found = Score.of(*score[1])
    assert (found.event_id, found.source) == (FIRST.id, REPLAY)
    left = DeadLetter.of(*letter[1])
    assert (left.attempt, left.first, left.source) == (4, FIRST, REPLAY._replace(offset=1))
    assert list(left.headers) == reading(2).headers


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_replay_among_plain_ones_is_answered(odd: Message) -> None:
    agrees([replayed(reading(1)), replayed(odd), reading(2), replayed(reading(3))], TOPICS.replays)


HEADERS_OF_OURS = [("replay-of", b"test.readings/0/3"), ("attempt", b"2"), ("null-headers", b"")]


def ours(first: bytes | None = b"test.readings/0/3", attempt: bytes = b"2", nulls: bytes = b""):
    return [("replay-of", first), ("attempt", attempt), ("null-headers", nulls)]


@pytest.mark.parametrize("forged", [HEADERS_OF_OURS, HEADERS_OF_OURS[::-1], HEADERS_OF_OURS[:1]])
def test_a_device_cannot_claim_the_id_of_another_reading(forged: list[Header]) -> None:
    claim = reading(1)._replace(headers=[*forged, *reading(1).headers])
    agrees([claim, claim._replace(value=b"")])
    (_, score), (_, letter) = answers(records([claim, claim._replace(value=b"")], 40))
    own = Source(TOPIC, 1, 40, KNOWN.id_of(TOPIC))
    assert dict(score.headers)["ce_id"] == own.id.encode()
    left = DeadLetter.of(*letter)
    assert (left.attempt, left.first) == (1, own._replace(offset=41))
    assert list(left.headers) == claim.headers
    again = answers(records([replayed(claim)], 0, TOPICS.replays))[0][1]
    assert dict(again.headers)["ce_id"] == FIRST.id.encode()


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ([], "missing-header: the record does not begin with replay-of, attempt, null-headers"),
        (ours()[:2], "missing-header"),
        (ours()[::-1], "missing-header"),
        (ours(attempt=b"1"), "bad-header: attempt is '1'"),
        (ours(attempt=b"\xff"), "bad-header: attempt is not UTF-8"),
        (ours(None), "bad-header: replay-of is null"),
        (ours(b"test.readings/0/03"), "bad-header: replay-of: 'test.readings/0/03' is not"),
        (ours(b"test.readings/0/9223372036854775808"), "bad-header: replay-of: 'test"),
        (ours(b"test.readings/2147483648/0"), "bad-header: replay-of: 'test"),
        (ours(b"test.replays/0/3"), "bad-header: replay-of is test.replays/0/3; it must be"),
        (ours(nulls=b"0,"), "bad-header: null-headers is '0,'"),
    ],
)
def test_a_record_on_the_topic_of_replays_that_is_not_one_is_a_dead_letter(
    own: list[Header], reason: str
) -> None:
    sent = reading(1)._replace(headers=[*own, *reading(1).headers])
    agrees([replayed(reading(1)), sent], TOPICS.replays)
    (_, letter) = answers(records([sent], 0, TOPICS.replays))[0]
    left = DeadLetter.of(*letter)
    assert left.reason.startswith(reason)
    assert (left.attempt, left.replay_of, list(left.headers)) == (1, None, sent.headers)


@given(
    st.lists(
        MESSAGES.map(replayed)
        | MESSAGES
        | MESSAGES.map(lambda each: each._replace(headers=[*HEADERS_OF_OURS, *each.headers])),
        max_size=8,
    )
)
def test_any_records_among_replays_are_answered(messages: list[Message]) -> None:
    agrees(messages, TOPICS.replays)


def test_a_replay_that_is_too_large_keeps_its_first_place() -> None:
    sent = replayed(reading(1)._replace(value=bytes(LARGEST)), attempt=3)
    (_, letter) = answers(records([sent, replayed(reading(2))], 0, TOPICS.replays))[1]
    left = DeadLetter.of(*letter)
    assert (left.slug, left.value, left.first, left.attempt) == ("too-large", None, FIRST, 3)


def test_a_part_of_the_replays_is_answered_as_the_whole() -> None:
    sent = [replayed(reading(n), Source(TOPIC, 0, n), n) for n in range(2, 6)]
    frame = decoded(Frame.of(records(sent, 0, TOPICS.replays)), SHAPE, TOPICS)
    part = frame.where(np.array([False, True, False, True]))
    assert part.first.to_pylist() == [Source(TOPIC, 0, n).id for n in (3, 5)]
    assert part.attempt.to_pylist() == ["3", "5"]
