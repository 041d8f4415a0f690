"""The schemas and the AsyncAPI document say of real messages what the codecs do."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import referencing
import yaml
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import contract
from contract.choices import Engine
from contract.kafka.clients import arguments
from contract.wire import events, images
from contract.wire.events import DeadLetter, Label, Model, Reading, Replay, Score, Source, Times
from contract.wire.messages import SPECVERSION, Message
from contract.wire.progress import Lag, Progress
from contract.wire.reasons import REASONS, STAGES
from contract.wire.topics import Topics

HOME = Path(contract.__file__).parent
SCHEMAS = {file.name: json.loads(file.read_text()) for file in HOME.glob("schemas/*.schema.json")}
KNOWN = referencing.Registry().with_resources(
    (name, referencing.Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
ASYNCAPI = yaml.safe_load((HOME / "asyncapi.yaml").read_text())

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
PIXELS = np.zeros((8, 6, 2), np.uint8)
WHERE = Source("digits.readings", 1, 42)
MODEL = Model("digits", "2", "onnx")
LAG = Lag(5, 0.25, 1.5, 100, None)


def reading(content_type: str) -> Message:
    payload = images.encode(PIXELS, content_type)
    return Reading("a-1", "d", NOW, content_type, payload, "/devices/d").message()


def structured() -> Message:
    event = {
        "specversion": SPECVERSION,
        "id": "1",
        "source": "/d",
        "type": events.READING,
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": images.RAW,
        "data_base64": base64.b64encode(PIXELS.tobytes()).decode(),
    }
    headers = [("content-type", b"application/cloudevents+json")]
    return Message(b"d", json.dumps(event).encode(), headers)


MESSAGES: dict[str, tuple[str, Message, Callable[..., object]]] = {
    "rawReading": ("readings", reading(images.RAW), Reading.of),
    "pngReading": ("readings", reading(images.PNG), Reading.of),
    "jsonReading": ("readings", reading(images.JSON), Reading.of),
    "structuredReading": ("readings", structured(), Reading.of),
    "label": ("labels", Label("a-1", 3, NOW).message(), Label.of),
    "score": (
        "scores",
        Score("a-1", None, 3, 0.75, (0.25, 0.75), MODEL, WHERE, Times(None, NOW, NOW)).message(),
        Score.of,
    ),
    "deadLetter": (
        "deadLetters",
        DeadLetter(
            "decode", "empty: x", WHERE, 1, None, b"\xff", (("stage", b"theirs"), ("", b""))
        ).message(),
        DeadLetter.of,
    ),
    "replay": (
        "replays",
        Replay(WHERE, 2, b"d", b"\xff", tuple(reading(images.RAW).headers)).message(),
        Replay.of,
    ),
    "progress": (
        "progress",
        Progress("scoring", 0, NOW, 2, 1, 1, 1.5, 2.0, {"score": 3}, MODEL, LAG).message(),
        Progress.of,
    ),
}
"""Message of the AsyncAPI document -> its channel, an example, and who reads it."""


def valid(schema: str, instance: object) -> None:
    jsonschema.Draft202012Validator(
        SCHEMAS[schema],
        registry=KNOWN,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    ).validate(instance)


def keeps(name: str, message: Message) -> None:
    """The message is as the AsyncAPI document says of the messages of that name."""
    said = ASYNCAPI["components"]["messages"][name]
    if "headers" in said:
        valid(schema_of(said["headers"]), {k: (v or b"").decode() for k, v in message.headers})
    if "schema" in said["payload"]:
        assert message.value is not None
        valid(schema_of(said["payload"]), json.loads(message.value))
    content_type = dict(message.headers).get("content-type")
    assert content_type is None or content_type.decode() == said["contentType"]


def schema_of(place: dict[str, Any]) -> str:
    assert place["schemaFormat"] == "application/schema+json;version=draft-2020-12"
    return Path(place["schema"]["$ref"]).name


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_json_schema_and_used(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == name
    assert f"./schemas/{name}" in (HOME / "asyncapi.yaml").read_text()


def test_each_topic_is_a_channel_with_messages_and_an_operation() -> None:
    channels = ASYNCAPI["channels"]
    assert {channel["address"] for channel in channels.values()} == set(astuple(Topics()))
    used = {operation["channel"]["$ref"] for operation in ASYNCAPI["operations"].values()}
    assert used == {f"#/channels/{name}" for name in channels}
    named = {
        (message["$ref"].rpartition("/")[2], name)
        for name, channel in channels.items()
        for message in channel["messages"].values()
    }
    shadow = {("score", "shadowScores")}
    assert named == {(message, channel) for message, (channel, *_) in MESSAGES.items()} | shadow
    assert {message for message, _ in named} == ASYNCAPI["components"]["messages"].keys()


def test_every_reference_leads_somewhere() -> None:
    text = (HOME / "asyncapi.yaml").read_text()
    for reference in re.findall(r'\$ref: "(.+?)"', text):
        place: Any = ASYNCAPI
        if reference.startswith("#/"):
            for part in reference[2:].split("/"):
                place = place[part]
        else:
            assert Path(reference).name in SCHEMAS


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_codecs_write_keeps_the_document(name: str) -> None:
    keeps(name, MESSAGES[name][1])


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ("reading.schema.json", {"pixels": [[0, 256]]}),
        ("reading.schema.json", {"pixels": [[True]]}),
        ("reading.schema.json", {"pixels": []}),
        ("structured-reading.schema.json", {"id": "1", "source": "/d", "type": "t"}),
        ("attributes.schema.json", {"ce_id": "1", "ce_source": "/d", "ce_type": "t"}),
        ("attributes.schema.json", {"ce_id": ""}),
        ("label.schema.json", {"id": "1"}),
        ("score.schema.json", {"id": "1"}),
        ("progress.schema.json", {"query": "scoring"}),
        ("dead-letter.schema.json", {"stage": "decode", "reason": "because"}),
        ("replay.schema.json", {"replay-of": "a/0/7", "attempt": "1", "null-headers": ""}),
        ("replay.schema.json", {"replay-of": "7", "attempt": "2", "null-headers": ""}),
        ("replay.schema.json", {"replay-of": "a/0/7", "attempt": "2", "null-headers": "x"}),
    ],
)
def test_a_schema_refuses_what_is_not_so(schema: str, instance: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid(schema, instance)


def test_the_schemas_know_all_stages_reasons_and_engines() -> None:
    letter = SCHEMAS["dead-letter.schema.json"]["properties"]
    assert tuple(letter["stage"]["enum"]) == STAGES
    assert letter["reason"]["pattern"] == f"^({'|'.join(REASONS)}): [ -~]+$"
    engines = SCHEMAS["score.schema.json"]["$defs"]["model"]["properties"]["engine"]["enum"]
    assert set(engines) == set(Engine.__args__) - {"auto"}


def test_answers_to_a_replay_keep_the_document_and_come_back() -> None:
    again = WHERE._replace(topic="digits.replays")
    score = Score("a", None, 3, 0.75, (0.25, 0.75), MODEL, again, Times(None, NOW, NOW), WHERE)
    letter = DeadLetter("decode", "empty: x", again, 2, b"d", None, (), WHERE)
    for name, answer in (("score", score), ("deadLetter", letter)):
        keeps(name, answer.message())
        assert type(answer).of(*answer.message()) == answer
    assert dict(score.message().headers)["ce_id"] == WHERE.id.encode()


@pytest.mark.kafka
def test_messages_come_back_from_a_broker_as_the_document_has_them(
    kafka_broker: Any, topics: Topics
) -> None:
    prefix = topics.readings.removesuffix(".readings")
    server = arguments(kafka_broker.kafka)
    sent: dict[tuple[str, int], str] = {}
    with KafkaProducer(**server) as producer:
        for name, (channel, message, _) in MESSAGES.items():
            topic = ASYNCAPI["channels"][channel]["address"].replace("digits", prefix, 1)
            placed = producer.send(
                topic, message.value, message.key, message.headers, partition=0
            ).get(10)
            sent[topic, placed.offset] = name
    consumer = KafkaConsumer(**server, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition(topic, 0) for topic in astuple(topics)])
    received = [record for _, record in zip(sent, consumer, strict=False)]
    consumer.close()
    assert len(received) == len(sent)
    for record in received:
        name = sent[record.topic, record.offset]
        _, expected, of = MESSAGES[name]
        message = Message(record.key, record.value, list(record.headers))
        assert message == expected
        keeps(name, message)
        assert of(*message) == of(*expected)
