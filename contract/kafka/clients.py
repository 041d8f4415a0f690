"""How our programs connect to Kafka, and the errors they raise if that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka import errors

from contract.errors import AccessDenied, BrokerUnavailable
from contract.kafka.connection import Kafka
from contract.kafka.probe import Reachability, check_connection, probe

PATIENCE_MS = 5_000
"""Milliseconds for which a client tries to find a broker before it gives up."""

RECONNECT_MS = 1_000
"""Longest pause, in milliseconds, between a client's attempts to reconnect to a broker."""

_PROBE_SECONDS = 1.0
"""Timeout for a connection that only tests whether a server accepts it."""

_CLOSING_SECONDS = 15.0
"""Timeout for a producer's thread to end; it finishes an attempt to connect first."""


def arguments(kafka: Kafka) -> dict[str, Any]:
    """Arguments for kafka-python's producer, consumer and admin client.

    Create the client inside `connecting`.
    """
    return {
        **kafka.arguments,
        "bootstrap_timeout_ms": PATIENCE_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }


def consumer_arguments(kafka: Kafka) -> dict[str, Any]:
    """Arguments for a consumer that reads committed records only, never aborted ones."""
    return {**arguments(kafka), "isolation_level": "read_committed"}


@contextmanager
def connecting(kafka: Kafka) -> Iterator[None]:
    """Check the connection, then run the body, raising its errors of kafka-python as our own.

    Raises BrokerUnavailable if no broker answers, TlsFailed and AccessDenied. The body runs only
    after a broker has answered and has accepted our login.
    """
    try:
        check_connection(kafka, PATIENCE_MS / 1e3)
        with translate_errors(kafka):
            yield
    except (
        errors.BrokerNotAvailableError,
        errors.InvalidMetadataError,
        errors.MetadataEmptyBrokerList,
        errors.NodeNotReadyError,
        OSError,
        ValueError,
    ) as exc:
        raise unreachable_error(kafka) from exc


@contextmanager
def translate_errors(kafka: Kafka) -> Iterator[None]:
    """Raise kafka-python's errors in the body as our own: AccessDenied if a right or the login is
    refused, BrokerUnavailable if Kafka does not answer any more.
    """
    try:
        yield
    except (
        errors.AuthorizationError,
        errors.SaslAuthenticationFailedError,
    ) as exc:
        raise access_denied(kafka, str(exc)) from exc
    except (
        errors.KafkaConnectionError,
        errors.KafkaTimeoutError,
        errors.NodeNotReadyError,
        errors.RequestTimedOutError,
    ) as exc:
        raise unreachable_error(kafka) from exc


def close_producer(producer: Any, seconds: float) -> None:
    """Close kafka-python's producer within so many seconds; drops messages without an answer by
    then.

    Its own `close` waits for messages in flight and never returns if they are stuck: an idempotent
    producer that loses one message never sends again.
    """
    with suppress(errors.KafkaError):
        producer.flush(seconds)
    sender = producer._sender
    sender.force_close()
    sender.join(_CLOSING_SECONDS)
    with suppress(errors.KafkaError):
        producer.close(timeout=0)


def unreachable_error(kafka: Kafka) -> BrokerUnavailable:
    """The error for a broker that does not answer. Connects once more to find out whether it is
    not running or hangs.
    """
    return BrokerUnavailable(_UNREACHABLE[probe(kafka, _PROBE_SECONDS)].format(kafka))


_UNREACHABLE = {
    Reachability.REFUSED: (
        "No Kafka broker answers at {}. One must be running there. Start the embedded broker with "
        "`digitstream broker start`, or set --bootstrap-servers to the address of yours."
    ),
    Reachability.IGNORED: (
        "No Kafka broker answers at {}; the connection is neither accepted nor refused. A broker "
        "must be running where this machine can connect to it. Check the address, the network, "
        "firewalls, and whether that machine hangs."
    ),
    Reachability.ACCEPTED: (
        "Kafka at {} accepts connections and does not answer. A broker answers within seconds: "
        "this one hangs, or is not Kafka. Look at its log and restart it (the embedded broker with "
        "`digitstream broker stop` and `start`), or choose another with --bootstrap-servers."
    ),
}


def access_denied(kafka: Kafka, reason: str) -> AccessDenied:
    """The error for something that Kafka does not let us do."""
    return AccessDenied(
        f"Kafka at {kafka} does not let {kafka.security} do what it must: {reason.rstrip('.')}. "
        f"Each program needs rights of its own. `digitstream broker acls` prints them for an "
        f"administrator to grant."
    )
