"""Topics that are made, and the one sentence when they cannot be."""

from __future__ import annotations

import gc
import re
import uuid
from dataclasses import astuple
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from contract.errors import BrokerUnavailable, TopicMissing
from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.topics import ensure
from contract.wire.topics import ANSWER_BYTES, READING_BYTES, Topics


def test_the_default_names_are_those_of_the_prefix_digits() -> None:
    assert Topics.named("digits") == Topics()


@pytest.mark.parametrize(
    "servers", ["127.0.0.1:1", "127.0.0.1:1,[::1]:1", "no.invalid:1", "x", ":::"]
)
def test_no_broker_is_told_with_the_remedy(servers: str) -> None:
    told = f"No Kafka broker answers at {re.escape(servers)}.*`digitstream broker start`"
    with pytest.raises(BrokerUnavailable, match=told):
        ensure(Kafka(servers), Topics())


@pytest.mark.kafka
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_one_of_several_brokers_is_enough(kafka_broker: Any, topics: Topics) -> None:
    ensure(Kafka(f"127.0.0.1:1, {kafka_broker.bootstrap_servers}"), topics, create=False)
    gc.collect()  # kafka-python leaves the socket of an attempt that failed to the collector


@pytest.mark.kafka
def test_missing_topics_are_made_once_with_their_limits(kafka_broker: Any) -> None:
    topics = Topics.named(f"made-{uuid.uuid4().hex[:8]}")
    ensure(kafka_broker.kafka, topics, partitions=3)
    ensure(kafka_broker.kafka, topics, partitions=5, create=False)
    admin = KafkaAdminClient(**arguments(kafka_broker.kafka))
    found = admin.describe_topics(astuple(topics))
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in astuple(topics)]
    configs = admin.describe_configs(wanted)["topic"]
    admin.close()
    assert {topic["name"]: len(topic["partitions"]) for topic in found} == dict.fromkeys(
        astuple(topics), 3
    )
    limits = {topic: int(configs[topic]["max.message.bytes"]["value"]) for topic in configs}
    assert limits[topics.readings] == READING_BYTES
    assert limits[topics.scores] == limits[topics.dead_letters] == ANSWER_BYTES
    times = {configs[topic]["message.timestamp.type"]["value"] for topic in configs}
    assert times == {"LogAppendTime"}


@pytest.mark.kafka
def test_topics_that_may_not_be_made_are_told_with_the_commands(kafka_broker: Any) -> None:
    servers = kafka_broker.bootstrap_servers
    topics = Topics.named("absent")
    with pytest.raises(TopicMissing) as caught:
        ensure(kafka_broker.kafka, topics, partitions=4, create=False)
    assert (
        f"kafka-topics.sh --bootstrap-server {servers} --create --topic absent.dead-letters "
        "--partitions 4 --config max.message.bytes=8388608 "
        "--config message.timestamp.type=LogAppendTime"
    ) in str(caught.value)
    with pytest.raises(TopicMissing, match=r"may not be created \(Topic name is invalid"):
        ensure(kafka_broker.kafka, Topics.named("no good"))
