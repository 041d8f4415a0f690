"""What a scoring query tells of itself after each micro-batch."""

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


class Opinion(NamedTuple):
    """How many readings a second model was asked about, and how often its class was the answer."""

    asked: int
    agreed: int

    @classmethod
    def of(cls, value: object) -> Self:
        """The opinion in a JSON object; raises ValueError if there is none."""
        body = fields.members(value, frozenset(cls._fields))
        return cls(fields.integer(body["asked"]), fields.integer(body["agreed"]))


class Lag(NamedTuple):
    """How far a query is behind its topics."""

    readings: int
    """That wait for an answer."""
    seconds: float | None
    """For which the oldest of them has waited, at most; None is not known."""
    drain_s: float | None
    """Seconds until none waits, at this pace; None is never."""
    headroom: int | None
    """Readings between the oldest one that Kafka keeps and the query; None where it keeps all."""
    overtaken_s: float | None
    """Seconds until Kafka forgets a reading without an answer; None is never, or not known."""

    @classmethod
    def of(cls, value: object) -> Self:
        """The lag in a JSON object; raises ValueError if there is none."""
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

    `rows` readings became `scored` scores and `dead_letters` dead letters. Rates are rows a second,
    `durations_ms` milliseconds by step of the batch. `opinions` are those
    of the models that were asked besides, by their steps. `registry_silent_s` are seconds for which
    the registry of models owed an answer, 0 if it owed none.
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
    opinions: Mapping[str, Opinion] = field(default_factory=dict)
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
        """The figures in a record; raises BadEvent unless they are as their JSON Schemas have
        them.
        """
        with expecting("micro-batch's progress"):
            attributes_of(headers)
            # A version that did not ask the registry beside the stream says nothing of it.
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
                opinions=_by_step(body["opinions"], Opinion.of),
                registry_silent_s=fields.number(body["registry_silent_s"], 0),
            )


_PROGRESS = frozenset(each.name for each in dataclass_fields(Progress))


def _by_step(value: object, of: Callable[[object], T]) -> dict[str, T]:
    """An object whose members are steps, each with a value of one kind; raises ValueError."""
    if not isinstance(value, dict):
        message = "what should be by step is no object"
        raise ValueError(message)
    return {step: of(each) for step, each in value.items()}
