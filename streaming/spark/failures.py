"""What stopped a query of Spark's, as its text tells."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from contract.errors import (
    AccessDenied,
    DigitstreamError,
    TlsFailed,
)
from contract.kafka.certificates import invalidity
from contract.kafka.clients import access_denied
from contract.kafka.connection import Kafka

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


def kafka_refusal(text: str, kafka: Kafka) -> DigitstreamError | None:
    """That Kafka and Java's client do not trust each other any more, or that we have no right."""
    if match := _DENIED.search(text):
        return AccessDenied(
            f"{access_denied(kafka, match[1])} Nothing is lost: start it again once we may."
        )
    if match := _NO_TLS.search(text):
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
            f"{match[1].rstrip('.')}. Each side must trust the other's certificate. Check the ssl- "
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
