"""How every program of ours reaches Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import kafka.errors

from contract.errors import AccessDenied, BrokerUnavailable
from contract.kafka.connection import Kafka
from contract.kafka.probe import Knock, knock, shake

PATIENCE_MS = 5_000
"""How long a client looks for a broker before it says that there is none."""

RECONNECT_MS = 1_000
"""How long at most a client lets pass before it tries again to reach a broker that went away."""

_KNOCK_SECONDS = 1.0
"""How long a server may take to accept a connection that is only to tell whether it does."""

_CLOSING_SECONDS = 15.0
"""How long a producer's own thread may take to end: an attempt to connect is not interrupted."""


def arguments(kafka: Kafka) -> dict[str, Any]:
    """What kafka-python's producer, consumer and admin client are made with.

    Make the client inside `reaching`.
    """
    return {
        **kafka.arguments,
        "bootstrap_timeout_ms": PATIENCE_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }


def consuming(kafka: Kafka) -> dict[str, Any]:
    """What a consumer is made with: it reads only what is committed, never an aborted record."""
    return {**arguments(kafka), "isolation_level": "read_committed"}


@contextmanager
def reaching(to: Kafka) -> Iterator[None]:
    """Raise BrokerUnavailable if nobody listens, or nobody answers.

    Before the body runs, a broker has answered and knows us: else it is TlsFailed or AccessDenied.
    """
    try:
        shake(to, PATIENCE_MS / 1e3)
        with served(to):
            yield
    except (
        kafka.errors.BrokerNotAvailableError,
        kafka.errors.InvalidMetadataError,
        kafka.errors.MetadataEmptyBrokerList,
        kafka.errors.NodeNotReadyError,
        OSError,
        ValueError,
    ) as exc:
        raise absent(to) from exc


@contextmanager
def served(by: Kafka) -> Iterator[None]:
    """Raise AccessDenied if a client is told in the body that it has no right to something, and
    BrokerUnavailable if it is told nothing any more.
    """
    try:
        yield
    except (
        kafka.errors.AuthorizationError,
        kafka.errors.SaslAuthenticationFailedError,
    ) as exc:
        raise denied(by, str(exc)) from exc
    except (
        kafka.errors.KafkaConnectionError,
        kafka.errors.KafkaTimeoutError,
        kafka.errors.NodeNotReadyError,
        kafka.errors.RequestTimedOutError,
    ) as exc:
        raise absent(by) from exc


def close_producer(producer: Any, seconds: float) -> None:
    """Close kafka-python's producer within seconds; what is not answered by then is given up.

    Its own `close` waits for what is under way, and does not close where that is stuck: a producer
    that numbers its messages and loses one of them never sends again.
    """
    with suppress(kafka.errors.KafkaError):
        producer.flush(seconds)
    sender = producer._sender
    sender.force_close()
    sender.join(_CLOSING_SECONDS)
    with suppress(kafka.errors.KafkaError):
        producer.close(timeout=0)


def absent(to: Kafka) -> BrokerUnavailable:
    """The error for a Kafka that does not answer. Connects once more, to tell one that has to be
    started from one that hangs.
    """
    return BrokerUnavailable(_ABSENT[knock(to, _KNOCK_SECONDS)].format(to))


_ABSENT = {
    Knock.REFUSED: (
        "No Kafka broker answers at {}. One must be running there. Start the embedded one with "
        "`digitstream broker start`, or name yours with --bootstrap-servers."
    ),
    Knock.IGNORED: (
        "No Kafka broker answers at {}, and nobody refuses the connection. One must be running "
        "where this machine can connect to it. Check the address, the network, the firewalls "
        "between, and whether that machine hangs."
    ),
    Knock.ACCEPTED: (
        "Kafka at {} accepts connections and does not answer. A broker answers within seconds: "
        "this one hangs, or is no Kafka. Look at its log and restart it (the embedded one with "
        "`digitstream broker stop` and `start`), or name another with --bootstrap-servers."
    ),
}


def denied(by: Kafka, what: str) -> AccessDenied:
    """That Kafka does not let us do something, and how that is mended."""
    return AccessDenied(
        f"Kafka at {by} does not let {by.security} do what it must: {what.rstrip('.')}. Each "
        f"program needs rights of its own. `digitstream broker acls` prints them for an "
        f"administrator to give."
    )
