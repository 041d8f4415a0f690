"""Reads the cause of a Spark query's failure from the text of its error."""

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
"""The last line of a Python worker's traceback."""


def kafka_refusal(text: str, kafka: Kafka) -> DigitstreamError | None:
    """The error for a missing permission or failed TLS with Kafka; None for any other text."""
    if match := _DENIED.search(text):
        return AccessDenied(
            f"{access_denied(kafka, match[1])} Nothing is lost: start it again with access."
        )
    if match := _NO_TLS.search(text):
        certificate = kafka.security.certificate
        fault = certificate and invalidity(certificate.certfile, datetime.now(UTC))
        if certificate is not None and fault is not None:
            return TlsFailed(
                f"Kafka at {kafka} no longer accepts our certificate: {certificate.certfile} "
                f"{fault}. It must be valid now. Have it renewed and start again: nothing is lost."
            )
        return TlsFailed(
            f"The TLS handshake with Kafka at {kafka} failed: {match[1].rstrip('.')}. Each side "
            f"must trust the other's certificate. Check the ssl- lines of the profile."
        )
    return None


def last_cause(text: str) -> str:
    """The innermost cause in a Java or Python stack trace."""
    causes = (
        _CAUSE.findall(text)
        or RAISED.findall(text)
        or text.strip().splitlines()[:1]
        or ["no message"]
    )
    return str(causes[-1])[:300].rstrip(".")
