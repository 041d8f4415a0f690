"""Progress reports of a scoring query, one per micro-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

from contract.wire.events import SCORING_SOURCE, Model
from contract.wire.headers import Headers, attributes_of
from contract.wire.messages import Message, attributes, expecting, json_of
from contract.wire.values import fields
from contract.wire.values.strict_json import object_of
from contract.wire.values.times import stamp

T = TypeVar("T")

PROGRESS = "digitstream.progress"


class Agreement(NamedTuple):
    """For how many readings a second model was `asked`, and how often it `agreed` with the
    answer.
    """

    asked: int
    agreed: int

    @classmethod
    def of(cls, value: object) -> Self:
        """The counts in a JSON object; raises ValueError if the object is invalid."""
        body = fields.members(value, frozenset(cls._fields))
        return cls(fields.integer(body["asked"]), fields.integer(body["agreed"]))


class Lag(NamedTuple):
    """How far a query is behind its topics."""

    readings: int
    """Number of readings without an answer."""
    seconds: float | None
    """Upper bound of the time that the oldest of them has waited; None if unknown."""
    drain_s: float | None
    """Seconds until all are answered, at this pace; None for never."""
    headroom: int | None
    """Readings between the oldest one that Kafka stores and the query; None if it stores all."""
    overtaken_s: float | None
    """Seconds until Kafka deletes a reading without an answer; None for never, or unknown."""

    @classmethod
    def of(cls, value: object) -> Self:
        """The lag in a JSON object; raises ValueError if the object is invalid."""
        body = fields.members(value, frozenset(cls._fields))
        seconds, drain_s, overtaken_s = (
            None if body[name] is None else fields.number(body[name])
            for name in ("seconds", "drain_s", "overtaken_s")
        )
        headroom = None if body["headroom"] is None else fields.integer(body["headroom"])
        return cls(fields.integer(body["readings"]), seconds, drain_s, headroom, overtaken_s)


@dataclass(frozen=True)
class Progress:
    """The figures of one micro-batch of a query.

    `rows` readings became `scored` scores and `dead_letters` dead letters. Rates are in rows per
    second, `durations_ms` in milliseconds by step of the batch. `opinions` compares the additional
    models with the answers, by step. `registry_silent_s` is the number of seconds for which the
    model registry has not answered, 0 if no request is open.
    """

    query: str
    batch: int
    time: datetime
    rows: int
    scored: int
    dead_letters: int
    input_per_s: float
    processed_per_s: float
    durations_ms: Mapping[str, int]
    model: Model | None
    lag: Lag
    opinions: Mapping[str, Agreement] = field(default_factory=dict)
    registry_silent_s: float = 0.0

    def message(self) -> Message:
        """The figures, keyed by the query."""
        model = None if self.model is None else self.model._asdict()
        opinions = {step: opinion._asdict() for step, opinion in self.opinions.items()}
        body = {**vars(self), "time": stamp(self.time), "model": model}
        body |= {"lag": self.lag._asdict(), "opinions": opinions}
        id = f"{self.query}/{self.batch}"
        return Message(
            self.query.encode(), json_of(body), attributes(id, SCORING_SOURCE, PROGRESS, self.time)
        )

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The figures in a record; raises BadEvent unless they match their JSON Schemas."""
        with expecting("micro-batch's progress"):
            attributes_of(headers)
            # Earlier versions do not write this field.
            body = {"registry_silent_s": 0.0, **object_of(value or b"")}
            body = fields.members(body, _PROGRESS)
            model = body["model"]
            return cls(
                query=fields.text(body["query"], least=1),
                batch=fields.integer(body["batch"]),
                time=fields.time(body["time"]),
                rows=fields.integer(body["rows"]),
                scored=fields.integer(body["scored"]),
                dead_letters=fields.integer(body["dead_letters"]),
                input_per_s=fields.number(body["input_per_s"], 0),
                processed_per_s=fields.number(body["processed_per_s"], 0),
                durations_ms=_by_step(body["durations_ms"], fields.integer),
                model=None if model is None else Model.of(model),
                lag=Lag.of(body["lag"]),
                opinions=_by_step(body["opinions"], Agreement.of),
                registry_silent_s=fields.number(body["registry_silent_s"], 0),
            )


_PROGRESS = frozenset(field.name for field in dataclass_fields(Progress))


def _by_step(value: object, parse: Callable[[object], T]) -> dict[str, T]:
    """An object whose members are steps, their values parsed; raises ValueError."""
    if not isinstance(value, dict):
        message = "what should be by step is no object"
        raise ValueError(message)
    return {step: parse(member) for step, member in value.items()}
