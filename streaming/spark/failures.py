"""What stopped a query, in one sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from contract.errors import AccessDenied, BrokerUnavailable, DigitstreamError, TlsFailed
from contract.kafka.certificates import invalidity
from contract.kafka.clients import denied
from contract.kafka.connection import Kafka
from streaming.errors import ModelFailed


class ScoringStopped(DigitstreamError):
    """The query ended by an error that nobody foresaw; its cause is in the message."""


class ReadingsLost(DigitstreamError):
    """Kafka no longer has readings that were not answered yet."""


# The last line of a worker's traceback.
_MODEL_FAILED = re.compile(
    rf"^{ModelFailed.__module__}\.{ModelFailed.__name__}: (.*)$", re.MULTILINE
)
LOST = re.compile(r"Some data may have been lost|KafkaIllegalStateException|OffsetOutOfRange")
NO_BROKER = re.compile(
    r"org\.apache\.kafka\.common\.errors\.(TimeoutException|DisconnectException|NetworkException"
    r"|BrokerNotAvailableException|NotEnoughReplicas\w*Exception)"
)
_DENIED = re.compile(
    r"org\.apache\.kafka\.common\.errors\.(?:\w*Authorization|SaslAuthentication)Exception: (.*)"
)
_NO_TLS = re.compile(r"org\.apache\.kafka\.common\.errors\.SslAuthenticationException: (.*)")
_CAUSE = re.compile(r"^(?:Caused by: |: )?((?:[\w$]+\.)+\w+(?:Exception|Error): .*)$", re.MULTILINE)
RAISED = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)")
"""The line below a Python worker's traceback."""


def cause_of(error: BaseException, kafka: Kafka) -> DigitstreamError:
    """What a user must know of an exception that ended the query."""
    text = str(error)
    if isinstance(error, DigitstreamError):
        return error
    if model := _MODEL_FAILED.search(text):
        return ModelFailed(model[1])
    if LOST.search(text):
        message = (
            f"Kafka at {kafka} no longer has readings that were not answered yet: its "
            f"retention removed them, or the topic was made anew. Scoring never skips a reading in "
            f"silence. Start it again: it tells which they are. Kafka said: {last_cause(text)}"
        )
        return ReadingsLost(message)
    if lacking := refused(text, kafka):
        return lacking
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


def refused(text: str, kafka: Kafka) -> DigitstreamError | None:
    """That Kafka and Java's client do not trust each other any more, or that we have no right."""
    if found := _DENIED.search(text):
        return AccessDenied(
            f"{denied(kafka, found[1])} Nothing is lost: start it again once we may."
        )
    if found := _NO_TLS.search(text):
        certificate = kafka.security.certificate
        fault = certificate and invalidity(certificate.certfile, datetime.now(UTC))
        if certificate is not None and fault is not None:
            return TlsFailed(
                f"Kafka at {kafka} does not accept our certificate any more: "
                f"{certificate.certfile} {fault}. It must be valid now. Have it renewed and start "
                f"again: nothing is lost."
            )
        return TlsFailed(
            f"Java's TLS and that of Kafka at {kafka} do not come together: "
            f"{found[1].rstrip('.')}. Each side must trust the other's certificate. Check the ssl- "
            f"lines of the profile."
        )
    return None


def last_cause(text: str) -> str:
    """The innermost cause that a Java or Python stack trace names."""
    causes = (
        _CAUSE.findall(text)
        or RAISED.findall(text)
        or text.strip().splitlines()[:1]
        or ["without a word"]
    )
    return str(causes[-1])[:300].rstrip(".")
