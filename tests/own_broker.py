"""A broker of one test's own, to be stopped, paused and started."""

from __future__ import annotations

import os
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from digitstream.kafka import server
from digitstream.machine import jars, java
from tests.quick_java import quick_java


class OwnBroker:
    """A broker that no other test uses."""

    def __init__(self, home: Path, java_17: java.Java) -> None:
        self.home, self._java = home, java_17
        self._jars = jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))

    def start(self) -> str:
        """Start it; returns its address."""
        with quick_java():
            return server.start(self.home, self._java, self._jars).bootstrap_servers

    def stop(self) -> None:
        """Stop it, if it runs."""
        server.stop(self.home)

    def signal(self, number: int) -> None:
        """Send a signal to its process."""
        running = server.status(self.home)
        assert running is not None
        os.kill(running.pid, number)


def stored(kafka: Kafka, topic: str) -> int:
    """How many records a topic has."""
    consumer = KafkaConsumer(**arguments(kafka))
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(partitions)
    consumer.close()
    return sum(ends.values())
