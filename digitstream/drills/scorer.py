"""Drills that kill the scorer, or parts of it, in the middle of its work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from contract.quantities import quantity
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, until
from digitstream.drills.outcome import Broken, Impossible

TRIES = 5
"""How often to try to hit a moment before giving up."""


@drill(
    "kill-before-writes",
    "The driver is killed after a micro-batch was planned and before its answers are written: the "
    "next start answers it, once.",
)
def _kill_before_writes(ground: Ground) -> str:
    sent, seen = _kill_at(
        ground,
        batch=5_000,
        moment=lambda written: ground.batches("offsets") > ground.batches("commits"),
        hit=lambda written: written == 0,
    )
    return _restart(ground, sent, f"killed when {seen} answers of the micro-batch were written")


@drill(
    "kill-between-writes",
    "The driver is killed while some answers of a micro-batch are written and others are not: the "
    "next start writes them all, those that were there with the same ids.",
)
def _kill_between_writes(ground: Ground) -> str:
    batch = 20_000
    sent, seen = _kill_at(
        ground,
        batch=batch,
        moment=lambda written: written() > 0,
        hit=lambda written: 0 < written < batch,
    )
    return _restart(ground, sent, f"killed when {seen} answers of {batch} were written")


@drill(
    "kill-after-writes",
    "The driver is killed as soon as a micro-batch's answers are written, committed or not: "
    "nothing is lost, and what is written again has the same ids.",
)
def _kill_after_writes(ground: Ground) -> str:
    batch = 2_000
    sent, seen = _kill_at(
        ground,
        batch=batch,
        moment=lambda written: written() >= batch,
        hit=lambda written: written >= batch,
    )
    done = "was" if ground.batches("commits") >= ground.batches("offsets") else "was not"
    return _restart(ground, sent, f"killed when all {seen} were written and that {done} noted")


def _count_written(ground: Ground, before: int) -> Callable[[], int]:
    return lambda: ground.answer_count() - before


def _kill_at(
    ground: Ground,
    batch: int,
    moment: Callable[[Callable[[], int]], object],
    hit: Callable[[int], bool],
) -> tuple[int, int]:
    """Kill a scorer at a moment of its first micro-batch, which has `batch` readings.

    Returns how many readings were sent in all, and how many answers of that micro-batch were
    written. If the moment was missed, tries again with other readings; raises Impossible after
    TRIES times.
    """
    sent = 0
    for _ in range(TRIES):
        sent += ground.send(batch)
        before = ground.answer_count()
        scorer = ground.score(in_a_batch=batch)
        until(partial(moment, _count_written(ground, before)), "the moment to kill")
        ground.kill(scorer)
        written = ground.answer_count() - before
        if hit(written):
            return sent, written
        ground.score("--available-now").result()
    message = f"The moment was missed {TRIES} times. Try again on a machine that is less busy."
    raise Impossible(message)


@drill(
    "last-commit-deleted",
    "The checkpoint loses the commit of its last micro-batch: that is answered again, with the "
    "same ids.",
)
def _last_commit_deleted(ground: Ground) -> str:
    sent = ground.send(2_000)
    ground.score("--available-now").result()
    last = ground.batches("commits")
    for file in (f"{last}", f".{last}.crc"):
        (ground.checkpoint / "commits" / file).unlink(missing_ok=True)
    seen = _restart(ground, sent, "the last commit file was deleted")
    if ground.accounts().total("duplicates") == 0:
        message = f"the micro-batch was not answered again: {seen}"
        raise Broken(message)
    return seen


@drill(
    "kill-worker",
    "The Python workers are killed in the middle of a micro-batch: Spark runs their tasks again, "
    "and the scorer goes on.",
)
def _kill_worker(ground: Ground) -> str:
    sent = ground.send(20_000)
    scorer = ground.score(in_a_batch=8_000)
    ground.await_answers(1, scorer)
    killed = ground.kill_workers(scorer)
    if not killed:
        message = "there was no worker to kill"
        raise Broken(message)
    ground.await_done(sent, scorer)
    scorer.stop()
    return f"{quantity(killed, 'worker')} killed; {ground.check_all_answered(sent)}"


def _restart(ground: Ground, sent: int, what: str) -> str:
    """Start the scorer again, until all is answered."""
    ground.score("--available-now").result()
    return f"{what}; then {ground.check_all_answered(sent)}"
