"""The events on the topics, each a value with its codec: `.message()` and `.of(...)`.

CloudEvents 1.0 in Kafka's binary mode; a reading may also come in structured JSON mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self, get_args

from contract.choices import Engine
from contract.wire import headers as names
from contract.wire import images, reasons, remedies, structured
from contract.wire.dead_letters import DeadLetter
from contract.wire.headers import Headers, device_of, media_type, optional, required
from contract.wire.messages import Message, attributes, encoded, expecting, json_of, key_of
from contract.wire.places import TOPIC_ID, Source
from contract.wire.reasons import BadReading
from contract.wire.replays import Replay
from contract.wire.values import fields
from contract.wire.values.strict_json import object_of
from contract.wire.values.times import moment, stamp

__all__ = [
    "DeadLetter",
    "Label",
    "Model",
    "Reading",
    "Replay",
    "Score",
    "Source",
    "Times",
]

READING = "digitstream.reading"
LABEL = "digitstream.label"
SCORE = "digitstream.score"

LABELS_SOURCE = "/digitstream/labels"
SCORING_SOURCE = "/digitstream/scoring"

ENGINES = get_args(Engine)
"""The engines that may have run a model."""

_LABEL = frozenset({"id", "label"})
_PLACE = ("topic", "partition", "offset")
_SCORE = frozenset(
    {"id", "device", "prediction", "confidence", "probabilities", "model", "source", "times"}
)


@dataclass(frozen=True)
class Reading:
    """An image from a device, not yet decoded; `time` is by the device's clock."""

    id: str
    device: str | None
    time: datetime | None
    content_type: str
    payload: bytes | None
    source: str
    type: str = READING

    def message(self) -> Message:
        """The reading in binary mode."""
        return Message(
            key_of(self.device),
            self.payload,
            attributes(self.id, self.source, self.type, self.time, self.content_type),
        )

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The reading in a record, its payload not yet decoded; raises BadReading only.

        Key and value may be anything. Unknown headers are ignored.
        """
        content_type = media_type(_content_type(headers, value))
        if content_type == structured.CONTENT_TYPE:
            return cls._structured(key, value)
        images.check_supported(content_type, value)
        _check_mode(content_type, value, headers)
        id, source, type = (
            required(headers, name) for name in (names.ID, names.SOURCE, names.TYPE)
        )
        time = _device_time(optional(headers, names.TIME))
        names.check_specversion(optional(headers, names.SPECVERSION))
        return cls(id, device_of(key), time, content_type, value, source, type)

    @classmethod
    def _structured(cls, key: bytes | None, value: bytes | None) -> Self:
        event = structured.event_of(value)
        content_type, payload = structured.data_of(event)
        id, source, type = (structured.attribute(event, name) for name in ("id", "source", "type"))
        time = _device_time(structured.optional(event, "time"))
        structured.check_version(event)
        structured.check_data(event)
        return cls(id, device_of(key), time, media_type(content_type), payload, source, type)


@dataclass(frozen=True)
class Label:
    """The true class of a reading, often late; `id` is the reading's ce_id."""

    id: str
    label: int | str
    time: datetime

    def message(self) -> Message:
        """The label, keyed by the reading's id."""
        return Message(
            self.id.encode(),
            json_of({"id": self.id, "label": self.label}),
            attributes(self.id, LABELS_SOURCE, LABEL, self.time),
        )

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The label in a record; raises BadEvent unless it matches its JSON Schemas."""
        with expecting("label"):
            attributes = names.attributes_of(headers)
            body = fields.members(object_of(value or b""), _LABEL)
            return cls(
                id=fields.text(body["id"], least=1),
                label=fields.label(body["label"]),
                time=moment(attributes[names.TIME]),
            )


class Model(NamedTuple):
    """The model that scored a reading: its name and version in the registry, and its engine."""

    name: str
    version: str
    engine: str

    @classmethod
    def of(cls, value: object) -> Self:
        """The model in a JSON object; raises ValueError if the object is invalid."""
        body = fields.members(value, _MODEL)
        engine = fields.text(body["engine"])
        if engine not in ENGINES:
            message = f"{engine[:40]!r} is none of the engines {', '.join(ENGINES)}"
            raise ValueError(message)
        return cls(
            fields.text(body["name"], least=1), fields.text(body["version"], least=1), engine
        )


class Times(NamedTuple):
    """When a reading was made (by the device's clock), stored by Kafka, and scored."""

    device: datetime | None
    broker: datetime
    scored: datetime


_MODEL, _TIMES = frozenset(Model._fields), frozenset(Times._fields)


@dataclass(frozen=True)
class Score:
    """A model's prediction for a reading: the answer to it, unless it became a dead letter.

    `probabilities` are in the order of the bundle's classes, `prediction` is the most probable
    class and `confidence` its probability. `id` is the reading's ce_id. `source` is the record that
    was scored; if that is a replay, `replay_of` is the reading's first place.
    """

    id: str
    device: str | None
    prediction: int | str
    confidence: float
    probabilities: tuple[float, ...]
    model: Model
    source: Source
    times: Times
    replay_of: Source | None = None

    @property
    def event_id(self) -> str:
        """The score's ce_id, the same however often its reading was replayed and scored."""
        return (self.replay_of or self.source).id

    def message(self) -> Message:
        """The score, keyed by the device; for a replay, with the replay's place in headers."""
        device = self.times.device
        times = {
            "device": None if device is None else stamp(device),
            "broker": stamp(self.times.broker),
            "scored": stamp(self.times.scored),
        }
        body = {
            "id": self.id,
            "device": self.device,
            "prediction": self.prediction,
            "confidence": self.confidence,
            "probabilities": self.probabilities,
            "model": self.model._asdict(),
            "source": dict(zip(_PLACE, self.source.place, strict=True)),
            "times": times,
        }
        headers = attributes(self.event_id, SCORING_SOURCE, SCORE, self.times.scored)
        if self.replay_of is not None:
            places = (names.TOPIC, names.PARTITION, names.OFFSET)
            headers += encoded(dict(zip(places, map(str, self.source.place), strict=True)))
            if self.source.topic_id is not None:
                headers += encoded({names.TOPIC_ID: self.source.topic_id})
        return Message(key_of(self.device), json_of(body), headers)

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The score in a record; raises BadEvent unless it matches its JSON Schemas."""
        with expecting("score"):
            id = names.attributes_of(headers)[names.ID]
            body = fields.members(object_of(value or b""), _SCORE)
            times = fields.members(body["times"], _TIMES)
            device, device_time = body["device"], times["device"]
            source, answered = fields.source(body["source"]), Source.of(id)
            is_replay = answered.place != source.place
            source = source._replace(topic_id=_topic_id(headers)) if is_replay else answered
            return cls(
                id=fields.text(body["id"], least=1),
                device=None if device is None else fields.text(device),
                prediction=fields.label(body["prediction"]),
                confidence=fields.number(body["confidence"], 0, 1),
                probabilities=_probabilities(body["probabilities"]),
                model=Model.of(body["model"]),
                source=source,
                times=Times(
                    None if device_time is None else fields.time(device_time),
                    fields.time(times["broker"]),
                    fields.time(times["scored"]),
                ),
                replay_of=answered if is_replay else None,
            )


def _topic_id(headers: Headers) -> str | None:
    """The id of a replay's topic, from the headers of its score."""
    values = [value for name, value in headers if name == names.TOPIC_ID and value is not None]
    id = values[0].decode("utf-8", "replace") if values else ""
    return id if TOPIC_ID.fullmatch(id) else None


def _content_type(headers: Headers, value: bytes | None) -> str:
    """The content type; raises BadReading. If none of our headers is there, and the value looks
    like the output of a schema registry's serializer, the error says so.
    """
    is_bare = not any(name in names.REQUIRED for name, _ in headers)
    if is_bare and remedies.schema_of(value) is not None:
        detail = (
            f"none is named, and {remedies.serializer_remedy(value)}; send raw bytes, a PNG or JSON"
        )
        raise BadReading(reasons.UNSUPPORTED_CONTENT_TYPE, detail)
    return required(headers, names.CONTENT_TYPE)


def _check_mode(content_type: str, value: bytes | None, headers: Headers) -> None:
    """Raise BadReading if the value is a complete event, but its content type is plain JSON."""
    if content_type != images.JSON or any(name == names.ID for name, _ in headers):
        return
    if remedies.is_event(value):
        detail = f"{names.ID} is required; the value is an event: call it {structured.CONTENT_TYPE}"
        raise BadReading(reasons.MISSING_HEADER, detail)


def _probabilities(value: object) -> tuple[float, ...]:
    """The probabilities of at least two classes; raises ValueError for anything else."""
    if not isinstance(value, list) or len(value) < 2:
        message = "the probabilities are no list of two or more"
        raise ValueError(message)
    if set(map(type, value)) == {float} and min(value) >= 0 and max(value) <= 1:
        return tuple(value)  # the fast way; what follows finds the invalid one
    return tuple(fields.number(share, 0, 1) for share in value)


def _device_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError as exc:
        raise BadReading(reasons.BAD_HEADER, f"{names.TIME} is {text[:40]!r}: {exc}") from exc
