"""What has left a producer, and what Kafka may have of it, whatever was answered."""

from __future__ import annotations

import pytest
from kafka import errors
from kafka.protocol.producer import ProduceRequest, ProduceResponse
from kafka.record.memory_records import MemoryRecordsBuilder

from producers.departures import Departures

TOPIC = "digits.readings"

OutTopic = ProduceRequest.TopicProduceData
InTopic = ProduceResponse.TopicProduceResponse


def request(first: int, count: int, partition: int = 0, epoch: int = 0) -> ProduceRequest:
    """A request with one batch of messages, numbered from `first`."""
    records = MemoryRecordsBuilder(2, 0, 1 << 16)
    for _ in range(count):
        records.append(None, b"device", b"x", [])
    records.set_producer_state(4, epoch, first, False)
    records.close()
    batch = OutTopic.PartitionProduceData(index=partition, records=records.buffer())
    return ProduceRequest(
        transactional_id=None,
        acks=-1,
        timeout_ms=1000,
        topic_data=[OutTopic(name=TOPIC, partition_data=[batch])],
    )


def response(error: type[errors.KafkaError] = errors.NoError, partition: int = 0) -> object:
    answer = InTopic.PartitionProduceResponse(index=partition, error_code=error.errno)
    return ProduceResponse(responses=[InTopic(name=TOPIC, partition_responses=[answer])])


@pytest.fixture
def departures() -> Departures:
    return Departures()


def leave(departures: Departures, sent: ProduceRequest, error: type[errors.KafkaError]) -> None:
    departures.note_request(sent)
    departures.note_response(sent, response(error))


def test_what_never_left_is_in_no_count(departures: Departures) -> None:
    assert departures.stored_at_most(TOPIC) == 0


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (errors.NoError, 5),
        (errors.DuplicateSequenceNumberError, 5),
        (errors.MessageSizeTooLargeError, 0),
        (errors.TopicAuthorizationFailedError, 0),
        (errors.NotEnoughReplicasError, 0),
        (errors.OutOfOrderSequenceNumberError, 0),
        # A leader that has appended them may answer so.
        (errors.KafkaStorageError, 5),
        (errors.NotLeaderForPartitionError, 5),
        (errors.NotEnoughReplicasAfterAppendError, 5),
        (errors.RequestTimedOutError, 5),
        (errors.UnknownError, 5),
    ],
)
def test_only_what_is_refused_for_certain_is_not_stored(
    departures: Departures, error: type[errors.KafkaError], stored: int
) -> None:
    leave(departures, request(0, 5), error)
    assert departures.stored_at_most(TOPIC) == stored


def test_what_is_sent_again_is_counted_once(departures: Departures) -> None:
    departures.note_request(request(0, 5))
    departures.note_failure(request(0, 5))
    leave(departures, request(0, 5), errors.NotLeaderForPartitionError)
    leave(departures, request(0, 5), errors.NoError)
    leave(departures, request(5, 2), errors.NoError)
    leave(departures, request(0, 1, epoch=1), errors.NoError)
    assert departures.stored_at_most(TOPIC) == 8


def test_a_refusal_after_an_attempt_without_an_answer_is_doubtful(departures: Departures) -> None:
    departures.note_request(request(0, 5))
    departures.note_failure(request(0, 5))
    leave(departures, request(0, 5), errors.TopicAuthorizationFailedError)
    assert departures.stored_at_most(TOPIC) == 5


def test_the_halves_of_a_batch_that_was_too_large_are_its_messages(departures: Departures) -> None:
    leave(departures, request(0, 4), errors.MessageSizeTooLargeError)
    leave(departures, request(0, 2), errors.NoError)
    leave(departures, request(2, 2), errors.MessageSizeTooLargeError)
    leave(departures, request(2, 1), errors.NoError)
    leave(departures, request(3, 1), errors.MessageSizeTooLargeError)
    assert departures.stored_at_most(TOPIC) == 3


def test_partitions_number_their_messages_for_themselves(departures: Departures) -> None:
    departures.note_request(request(0, 3))
    departures.note_request(request(0, 4, partition=1))
    departures.note_response(request(0, 4, partition=1), response(partition=1))
    assert departures.stored_at_most(TOPIC) == 7
    departures.reset_counts()
    leave(departures, request(4, 2, partition=1), errors.NoError)
    assert departures.stored_at_most(TOPIC) == 2
