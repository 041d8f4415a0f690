"""Transactions that are still open: nobody reads a partition beyond the first record of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kafka import KafkaAdminClient, TopicPartition, errors

from contract.quantities import quantity
from contract.wire.reasons import shown
from contract.wire.values.times import stamp

Offsets = Mapping[str, Mapping[int, int]]
"""Topic -> partition -> offset."""


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that holds back a partition's records from offset `first` on.

    `held_back` counts the offsets from there to the partition's end, whoever wrote them. What Kafka
    does not tell is None: the producer's id, its transactional id, and when it wrote last (RFC
    3339, by the records' own time).
    """

    topic: str
    partition: int
    first: int
    held_back: int
    producer: int | None = None
    transactional_id: str | None = None
    last_written: str | None = None

    def __str__(self) -> str:
        by = "" if self.producer is None else f" of producer {self.producer}"
        named = "" if self.transactional_id is None else f" ({self.transactional_id!r})"
        last = "" if self.last_written is None else f", which wrote last at {self.last_written},"
        held_back = quantity(self.held_back, "offset")
        return (
            f"A transaction{by}{named}{last} is open in {self.topic}/{self.partition} and holds "
            f"back {held_back} from {self.first} on. Nobody reads them until it ends. "
            f"Kafka ends it after its transaction.timeout.ms; if it never does, `kafka-transactions"
            f".sh abort --topic {self.topic} --partition {self.partition} --start-offset "
            f"{self.first}` does."
        )


def open_transactions(
    admin: KafkaAdminClient, end: Offsets, readable: Offsets
) -> list[OpenTransaction]:
    """The transactions that hold records back, by where partitions end and how far they are
    `readable`; ask Kafka for `readable` after `end`. Of each partition the oldest one.

    An older Kafka, or one that does not let us, tells no more than where.
    """
    held = [
        OpenTransaction(topic, partition, first, stop - first)
        for topic, partitions in sorted(end.items())
        for partition, stop in sorted(partitions.items())
        if (first := readable[topic][partition]) < stop
    ]
    return _named(admin, [_told(admin, each) for each in held])


def _told(admin: KafkaAdminClient, held: OpenTransaction) -> OpenTransaction:
    """The transaction with its producer, if Kafka tells that."""
    place = TopicPartition(held.topic, held.partition)
    try:
        producers = admin.describe_producers([place])[place].active_producers
    except errors.KafkaError:
        return held
    for producer in producers:
        if producer.current_transaction_start_offset == held.first:
            last = _stamped(producer.last_timestamp)
            return replace(held, producer=producer.producer_id, last_written=last)
    return held


def _named(admin: KafkaAdminClient, held: list[OpenTransaction]) -> list[OpenTransaction]:
    """The transactions with their transactional ids, where Kafka tells them."""
    producers = {each.producer for each in held if each.producer is not None}
    if not producers:
        return held
    try:
        listed = admin.list_transactions(producer_id_filters=sorted(producers)).values()
    except errors.KafkaError:
        return held
    names = {each.producer_id: shown(each.transactional_id) for few in listed for each in few}
    return [replace(each, transactional_id=names.get(each.producer)) for each in held]


def _stamped(milliseconds: int) -> str | None:
    try:
        return stamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None
