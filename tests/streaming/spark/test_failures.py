"""What ends a query is told in one sentence that says what is lacking."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from contract.errors import AccessDenied, TlsFailed
from contract.kafka.connection import Certificate, Kafka, Security
from digitstream.kafka.certificates import LEAF_DAYS, Authority, now
from streaming.archive import failures as archive
from streaming.query import failures

_ERRORS = "Caused by: org.apache.kafka.common.errors"
NO_TLS = f"{_ERRORS}.SslAuthenticationException: Received fatal alert: certificate_unknown"
NO_RIGHT = (
    f"{_ERRORS}.TopicAuthorizationException: Not authorized to access topics: [digits.scores]"
)
NO_PASSWORD = f"{_ERRORS}.SaslAuthenticationException: Authentication failed"


def told(text: str, kafka: Kafka) -> list[Exception]:
    """What the scorer and the archive say of a trace of Java's."""
    error = RuntimeError(f"Job aborted.\n{text}\n\tat java.base/java.lang.Thread.run\n")
    return [
        failures.scoring_failure(error, kafka),
        archive.archive_failure(error, kafka, "digits.scores", "/tables/scores"),
    ]


def test_a_certificate_that_expired_while_the_query_ran_is_named(tmp_path: Path) -> None:
    authority, pem = Authority.of(tmp_path, now()), tmp_path / "scorer.pem"
    kafka = Kafka("localhost:1", Security("SSL", certificate=Certificate(pem)))
    pem.write_bytes(authority.issue("scorer", now() - timedelta(days=LEAF_DAYS + 1)))
    for failure in told(NO_TLS, kafka):
        assert isinstance(failure, TlsFailed)
        assert "scorer.pem expired at 20" in str(failure) and "nothing is lost" in str(failure)
    pem.write_bytes(authority.issue("scorer", now()))
    for failure in told(NO_TLS, kafka):
        assert "expired" not in str(failure) and "TLS handshake" in str(failure)


@pytest.mark.parametrize(
    ("text", "lacking"),
    [(NO_RIGHT, "Not authorized to access topics: [digits.scores]"), (NO_PASSWORD, "failed")],
)
def test_a_revoked_right_or_password_is_named(text: str, lacking: str) -> None:
    for failure in told(text, Kafka("localhost:1")):
        assert isinstance(failure, AccessDenied)
        assert lacking in str(failure) and "Nothing is lost" in str(failure)


def test_the_last_line_of_a_workers_traceback_is_reported() -> None:
    text = (
        "An exception was thrown from the Python worker. Please see the stack trace below.\n"
        'Traceback (most recent call last):\n  File "worker.py", line 9, in main\n'
        "    process()\nGeneratorExit: of this\n"
    )
    assert failures.last_cause(text) == "GeneratorExit: of this"
