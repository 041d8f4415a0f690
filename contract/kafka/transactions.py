"""Open transactions, whose first record ends what can be read of a partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kafka import KafkaAdminClient, TopicPartition, errors

from contract.quantities import quantity
from contract.wire.reasons import printable
from contract.wire.values.times import stamp

Offsets = Mapping[str, Mapping[int, int]]
"""Topic -> partition -> offset."""


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that keeps a partition's records from offset `first` on from being read.

    `held_back` counts the offsets from there to the partition's end, of any producer. The
    producer's id, its transactional id and the time of its last record (RFC 3339, the record's own
    timestamp) are None if Kafka does not tell them.
    """

    topic: str
    partition: int
    first: int
    held_back: int
    producer: int | None = None
    transactional_id: str | None = None
    last_written: str | None = None

    def __str__(self) -> str:
        producer = "" if self.producer is None else f" of producer {self.producer}"
        name = "" if self.transactional_id is None else f" ({self.transactional_id!r})"
        last = "" if self.last_written is None else f", last active at {self.last_written},"
        held_back = quantity(self.held_back, "offset")
        return (
            f"A transaction{producer}{name}{last} is open in {self.topic}/{self.partition} and "
            f"holds back {held_back} from {self.first} on. They cannot be read until it ends. "
            f"Kafka ends it after its transaction.timeout.ms; if it never does, "
            f"`kafka-transactions.sh abort --topic {self.topic} --partition {self.partition} "
            f"--start-offset {self.first}` does."
        )


def open_transactions(
    admin: KafkaAdminClient, end: Offsets, readable: Offsets
) -> list[OpenTransaction]:
    """The oldest open transaction of each partition, from the partitions' ends and how far they are
    `readable`; ask Kafka for `readable` after `end`.

    An older Kafka, or one that refuses, tells only their offsets.
    """
    transactions = [
        OpenTransaction(topic, partition, first, stop - first)
        for topic, partitions in sorted(end.items())
        for partition, stop in sorted(partitions.items())
        if (first := readable[topic][partition]) < stop
    ]
    return _with_names(admin, [_with_producer(admin, transaction) for transaction in transactions])


def _with_producer(admin: KafkaAdminClient, transaction: OpenTransaction) -> OpenTransaction:
    """The transaction with its producer, if Kafka tells it."""
    place = TopicPartition(transaction.topic, transaction.partition)
    try:
        producers = admin.describe_producers([place])[place].active_producers
    except errors.KafkaError:
        return transaction
    for producer in producers:
        if producer.current_transaction_start_offset == transaction.first:
            last = _stamp(producer.last_timestamp)
            return replace(transaction, producer=producer.producer_id, last_written=last)
    return transaction


def _with_names(
    admin: KafkaAdminClient, transactions: list[OpenTransaction]
) -> list[OpenTransaction]:
    """The transactions with their transactional ids, if Kafka tells them."""
    producers = {
        transaction.producer for transaction in transactions if transaction.producer is not None
    }
    if not producers:
        return transactions
    try:
        listings = admin.list_transactions(producer_id_filters=sorted(producers)).values()
    except errors.KafkaError:
        return transactions
    names = {
        entry.producer_id: printable(entry.transactional_id)
        for listing in listings
        for entry in listing
    }
    return [
        replace(transaction, transactional_id=names.get(transaction.producer))
        for transaction in transactions
    ]


def _stamp(milliseconds: int) -> str | None:
    try:
        return stamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None
