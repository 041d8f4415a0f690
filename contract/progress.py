"""What a scoring query tells of itself after each micro-batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from contract.events import SCORING_SOURCE, Model
from contract.headers import Headers
from contract.messages import Message, attributes, expecting, json_of, object_of
from contract.times import moment, stamp

PROGRESS = "digitstream.progress"


class Opinion(NamedTuple):
    """How many readings a second model was asked about, and how often its class was the answer."""

    asked: int
    agreed: int


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


@dataclass(frozen=True)
class Progress:
    """The figures of one micro-batch of a query.

    `rows` readings became `scored` scores and `dead_letters` dead letters. Rates are rows a second,
    `durations_ms` milliseconds by step of the batch. `opinions` are those
    of the models that were asked besides, by their steps.
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
        """The figures in a record; raises BadEvent if it holds none."""
        with expecting("micro-batch's progress"):
            body = object_of(value)
            model = body.pop("model")
            return cls(
                time=moment(body.pop("time")),
                model=None if model is None else Model(**model),
                lag=Lag(**body.pop("lag")),
                opinions={step: Opinion(**each) for step, each in body.pop("opinions").items()},
                **body,
            )
