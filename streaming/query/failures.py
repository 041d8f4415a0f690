"""What stopped the scoring, in one sentence."""

from __future__ import annotations

import re

from contract.errors import BrokerUnavailable, DigitstreamError, ProgramError, RecordsLost
from contract.kafka.connection import Kafka
from streaming.errors import ModelFailedInWorker
from streaming.spark.failures import LOST, NO_BROKER, kafka_refusal, last_cause

_MODEL_FAILED = re.compile(
    rf"^{ModelFailedInWorker.__module__}\.{ModelFailedInWorker.__name__}: (.*)$", re.MULTILINE
)
"""The last line of a worker's traceback."""


class ScoringStopped(ProgramError):
    """The query ended by an error that nobody foresaw; its cause is in the message."""


def scoring_failure(error: BaseException, kafka: Kafka) -> DigitstreamError:
    """What a user must know of an exception that ended the query."""
    text = str(error)
    if isinstance(error, DigitstreamError):
        return error
    if model := _MODEL_FAILED.search(text):
        return ModelFailedInWorker.failure(model[1])
    if LOST.search(text):
        message = (
            f"Kafka at {kafka} no longer has readings that were not answered yet: its "
            f"retention removed them, or the topic was made anew. Scoring never skips a reading in "
            f"silence. Start it again: it tells which they are. Kafka said: {last_cause(text)}"
        )
        return RecordsLost(message)
    if refusal := kafka_refusal(text, kafka):
        return refusal
    if NO_BROKER.search(text):
        message = (
            f"Kafka at {kafka} stopped answering while readings were scored. Nothing "
            f"is lost: scoring goes on where it stopped. Bring Kafka back and start `digitstream "
            f"score` again."
        )
        return BrokerUnavailable(message)
    fact = f"{type(error).__name__}: {last_cause(text)}"
    message = (
        f"Scoring stopped at an error of its own, {fact}. Nothing is lost: the micro-batch stays "
        f"open, and `digitstream score` starts with it again."
    )
    return ScoringStopped(message)
