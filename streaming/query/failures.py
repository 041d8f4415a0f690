"""The errors that stop scoring, with a sentence for users."""

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
    """The query ended with an unexpected error; the message names its cause."""


def scoring_failure(error: BaseException, kafka: Kafka) -> DigitstreamError:
    """The error to raise for an exception that ended the query."""
    text = str(error)
    if isinstance(error, DigitstreamError):
        return error
    if model := _MODEL_FAILED.search(text):
        return ModelFailedInWorker.failure(model[1])
    if LOST.search(text):
        message = (
            f"Kafka at {kafka} no longer has readings that were not answered yet: its "
            f"retention removed them, or the topic was recreated. Scoring never skips readings "
            f"silently. Start it again for a list of them. Kafka reports: {last_cause(text)}"
        )
        return RecordsLost(message)
    if refusal := kafka_refusal(text, kafka):
        return refusal
    if NO_BROKER.search(text):
        message = (
            f"Kafka at {kafka} stopped answering while readings were scored. Nothing is lost: "
            f"scoring continues where it stopped. Restart Kafka, then start `digitstream score` "
            f"again."
        )
        return BrokerUnavailable(message)
    fact = f"{type(error).__name__}: {last_cause(text)}"
    message = (
        f"Scoring stopped with an unexpected {fact}. Nothing is lost: the micro-batch is not "
        f"committed, and `digitstream score` starts with it again."
    )
    return ScoringStopped(message)
