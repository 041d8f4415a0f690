"""What clients send to the topics and find on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from pyspark.sql import SparkSession

from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.offsets import open_log
from contract.settings.programs import Scoring, Settings
from contract.wire.events import DeadLetter, Score, Source
from contract.wire.messages import Message
from contract.wire.topics import Topics

Sent = dict[Source, Message]


class Answers(NamedTuple):
    """Every answer on the topics, in order; a reading that was answered twice is there twice."""

    scores: list[Score]
    letters: list[DeadLetter]

    @property
    def sources(self) -> list[Source]:
        return [answer.source for answer in (*self.scores, *self.letters)]


def send(settings: Scoring, messages: Iterable[Message], **options: Any) -> Sent:
    """Send the messages as they are; returns where each of them lies."""
    producer = KafkaProducer(**arguments(settings.kafka), acks="all", **options)
    topic = settings.topics.readings
    sending = [
        (message, producer.send(topic, value=value, key=key, headers=headers))
        for message in messages
        for key, value, headers in [message]
    ]
    producer.flush()
    producer.close()
    found = [(message, future.get(10)) for message, future in sending]
    id = topic_id(settings, topic)
    return {Source(topic, at.partition, at.offset, id): message for message, at in found}


def topic_id(settings: Settings, topic: str) -> str | None:
    """The id that Kafka gave a topic."""
    with open_log(settings.kafka) as log:
        return log.topic_ids([topic])[topic]


def send_anything(
    spark: SparkSession,
    settings: Scoring,
    messages: Iterable[Message],
    topic: str | None = None,
) -> Sent:
    """`send` by Kafka's own client, which takes headers of null too."""
    jvm: Any = spark._jvm
    clients = jvm.org.apache.kafka.clients.producer
    common = jvm.org.apache.kafka.common
    properties = jvm.java.util.Properties()
    for name, value in settings.kafka.properties.items():
        properties.put(name, value)
    plain = common.serialization.ByteArraySerializer()
    producer = clients.KafkaProducer(properties, plain, plain)
    topic, sending = topic or settings.topics.readings, []
    for message in messages:
        record = clients.ProducerRecord(topic, message.key, message.value)
        for name, value in message.headers:
            record.headers().add(name, value)
        sending.append((message, producer.send(record)))
    producer.close()
    found = [(message, future.get()) for message, future in sending]
    id = topic_id(settings, topic)
    return {Source(topic, at.partition(), at.offset(), id): message for message, at in found}


def messages(settings: Scoring, topic: str) -> list[Message]:
    """All that a topic holds now."""
    consumer = KafkaConsumer(**arguments(settings.kafka), max_partition_fetch_bytes=1 << 25)
    partitions = _partitions(settings, consumer, topic)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(200).values():
            found += [Message(record.key, record.value, list(record.headers)) for record in records]
    consumer.close()
    return found


_KNOWN: dict[tuple[str, str], list[TopicPartition]] = {}


def _partitions(settings: Scoring, consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """A topic's partitions; they are asked for once, which takes a tenth of a second."""
    place = settings.kafka.servers, topic
    if place not in _KNOWN:
        numbers = consumer.partitions_for_topic(topic) or ()
        if not numbers:
            return []
        _KNOWN[place] = [TopicPartition(topic, number) for number in numbers]
    return _KNOWN[place]


def make_compressed(kafka: Kafka, topics: Topics, codec: str) -> None:
    """Make the topics so that the broker compresses what comes, whatever its producer does."""
    admin = KafkaAdminClient(**arguments(kafka))
    admin.create_topics(
        {
            topic: {"num_partitions": 2, "configs": {**configs, "compression.type": codec}}
            for topic, configs in topics.configs.items()
        }
    )
    admin.wait_for_topics(list(topics.configs))
    admin.close()


def answers(settings: Scoring) -> Answers:
    """The scores and dead letters so far."""
    scores = messages(settings, settings.topics.scores)
    letters = messages(settings, settings.topics.dead_letters)
    return Answers(
        [Score.of(*score) for score in scores], [DeadLetter.of(*letter) for letter in letters]
    )


def until_stored(settings: Settings, count: int, *topics: str) -> None:
    """Wait until the topics have so many records in all. Asks only for their ends, as reading them
    takes a tenth of a second of a core each time.
    """
    with open_log(settings.kafka) as log:
        until(lambda: sum(sum(ends.values()) for ends in log.end(topics).values()) >= count)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition of another process; fails after some time."""
    tick = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if condition():
            return
        tick.wait(0.1)
    message = f"not within {seconds} s"
    raise TimeoutError(message)
