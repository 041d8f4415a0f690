"""Drills of readings as devices send them: bad, too many, with wrong clocks, twice."""

from __future__ import annotations

from contract.wire.events import Score
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken

BAD = "malformed=20%,wrong-shape=16%,empty=16%,oversized=16%,not-an-image=16%,bad-headers=16%"
LIMIT = 1_000
SKEW_HOURS = 7


@drill(
    "poison",
    "All readings are bad, of every kind: each becomes a dead letter, and the stream goes on.",
)
def _poison(ground: Ground) -> str:
    bad, good = ground.send(3_000, "--faults", BAD), ground.send(500)
    ground.score("--available-now").result()
    seen, accounts = ground.check_all_answered(bad + good), ground.accounts()
    if (accounts.total("dead_lettered"), accounts.total("scored")) != (bad, good):
        message = f"{bad} bad and {good} good readings were sent; {seen}"
        raise Broken(message)
    return seen


@drill(
    "burst",
    "Readings come at ten times the usual rate: micro-batches stay bounded, the backlog drains.",
)
def _burst(ground: Ground) -> str:
    scorer = ground.score(in_a_batch=LIMIT)
    sent = ground.send(2_000, rate="200")
    sent += ground.send(10_000, rate="2000")
    sent += ground.send(1_000, rate="200")
    ground.await_answers(sent, scorer)
    scorer.stop()
    largest = max(progress.rows for progress in ground.progress())
    if largest > LIMIT:
        message = f"a micro-batch had {largest} readings, more than {LIMIT}"
        raise Broken(message)
    return f"at most {largest} readings in a micro-batch; {ground.check_all_answered(sent)}"


@drill(
    "clock-skew",
    "Devices' clocks are hours off: their readings are answered like any others, with the time of "
    "the device and that of Kafka.",
)
def _clock_skew(ground: Ground) -> str:
    sent = ground.send(1_000, "--clock-skew", f"{SKEW_HOURS}h")
    ground.score("--available-now").result()
    scores = [
        Score.of(record.key, record.value, record.headers)
        for records in ground.reader.records(ground.settings.topics.scores)
        for record in records
    ]
    off = [
        (score.times.device - score.times.broker).total_seconds() / 3600
        for score in scores
        if score.times.device is not None
    ]
    if len(off) != sent or max(map(abs, off)) < 1:
        message = f"{len(off)} of {sent} scores have a device's time, none of them hours off"
        raise Broken(message)
    return f"clocks from {min(off):+.1f} to {max(off):+.1f} h; {ground.check_all_answered(sent)}"


@drill(
    "duplicates",
    "The producer sends readings twice: each record is answered, under an id of its own.",
)
def _duplicates(ground: Ground) -> str:
    sent = ground.send(2_000, "--faults", "duplicate=30%")
    ground.score("--available-now").result()
    seen = ground.check_all_answered(sent)
    if ground.accounts().total("duplicates"):
        message = f"two records have one id: {seen}"
        raise Broken(message)
    return seen
