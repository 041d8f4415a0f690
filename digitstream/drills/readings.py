"""Drills of what devices send: bad, too much, late, twice."""

from __future__ import annotations

from digitstream.drills.drill import Broken, drill
from digitstream.drills.ground import Ground


@drill(
    "poison",
    "All readings are bad, every kind at once: each becomes a dead letter, and the stream goes on.",
)
def _poison(ground: Ground) -> str:
    sent = ground.send(3_000, "--faults", "100%")
    sent += ground.send(500)
    ground.score("--available-now").result()
    seen = ground.all_answered(sent)
    if ground.accounts().total("scored") < 500:
        message = f"the good ones after them were not scored: {seen}"
        raise Broken(message)
    return seen


@drill(
    "burst",
    "Ten times the usual rate for some seconds: micro-batches stay bounded, the backlog drains.",
)
def _burst(ground: Ground) -> str:
    scorer = ground.score("--max-latency", "500ms")
    sent = ground.send(2_000, rate="200")
    sent += ground.send(10_000, rate="2000")
    sent += ground.send(1_000, rate="200")
    ground.await_answers(sent, scorer)
    scorer.stop()
    return ground.all_answered(sent)


@drill(
    "clock-skew",
    "Devices' clocks are hours off: their readings are answered like any other, with the times as "
    "they say.",
)
def _clock_skew(ground: Ground) -> str:
    sent = ground.send(1_000, "--clock-skew", "7h")
    ground.score("--available-now").result()
    return f"clocks up to 7 h off; {ground.all_answered(sent)}"


@drill(
    "duplicates",
    "The producer sends readings twice: each record is answered, under an id of its own.",
)
def _duplicates(ground: Ground) -> str:
    sent = ground.send(2_000, "--faults", "duplicate=30%")
    ground.score("--available-now").result()
    return ground.all_answered(sent)
