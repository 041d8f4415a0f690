"""The first words with a Kafka, before a client is made: they tell at once what is wrong.

kafka-python's clients try again for as long as they are let, then say that nobody answered, and
leave threads and sockets behind; so nobody makes one before this went well.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum

from kafka.net.sasl import get_sasl_mechanism

from contract.errors import AccessDenied, DigitstreamError, TlsFailed
from contract.kafka.certificates import invalidity
from contract.kafka.connection import Kafka

_SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 17, 18, 36
_TLS_ALERT = 0x15
_LONGEST = 1 << 20

# OpenSSL's numbers of what is wrong with a certificate.
_UNTIMELY = {9: "is not valid yet", 10: "expired"}
_OTHER_NAME, _OTHER_ADDRESS = 62, 64


class Knock(IntEnum):
    """What becomes of an attempt to connect."""

    REFUSED = 0
    """Nobody listens there, or no machine has that name."""
    IGNORED = 1
    """There is no answer at all."""
    ACCEPTED = 2
    """Somebody listens there, whether or not they answer then."""


def knock(kafka: Kafka, seconds: float) -> Knock:
    """Connect to each of the servers, for so long at most, and say nothing; returns the best of
    what becomes of it.
    """
    return max(_knock(server, seconds) for server in _servers(kafka))


def _knock(server: str, seconds: float) -> Knock:
    try:
        socket.create_connection(_address(server), seconds).close()
    except TimeoutError:
        return Knock.IGNORED
    except (OSError, ValueError):
        return Knock.REFUSED
    return Knock.ACCEPTED


def shake(kafka: Kafka, seconds: float) -> None:
    """Return when one of the servers answers and knows us; each may take so long.

    Raises TlsFailed and AccessDenied, and OSError or ValueError if nobody answers.
    """
    servers = _servers(kafka)
    for number, server in enumerate(servers, start=1):
        try:
            _greet(server, kafka, seconds)
            return
        except (OSError, ValueError, DigitstreamError):
            if number == len(servers):
                raise


def _servers(kafka: Kafka) -> list[str]:
    return [server.strip() for server in kafka.servers.split(",")]


def _address(server: str) -> tuple[str, int]:
    """The host and the port; raises ValueError if there is no port."""
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def _greet(server: str, kafka: Kafka, seconds: float) -> None:
    host, port = _address(server)
    with socket.create_connection((host, port), seconds) as plain:
        if not kafka.security.encrypted:
            _introduce(plain, server, kafka)
            return
        context = kafka.security.context()
        with (
            _explained(server, kafka),
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            _introduce(wrapped, server, kafka)


def _introduce(wire: socket.socket, server: str, kafka: Kafka) -> None:
    """Ask what the broker speaks, then log in."""
    _asked(wire, server, _API_VERSIONS, 0, b"")
    login = kafka.security.login
    if login is None:
        return
    name = login.mechanism.encode()
    handshake = struct.pack(">h", len(name)) + name
    answer = _asked(wire, server, _SASL_HANDSHAKE, 1, handshake)
    if struct.unpack_from(">h", answer)[0] != 0:
        message = (
            f"Kafka at {server} does not take {login.mechanism}. Both sides must know the "
            f"mechanism. Choose one that the broker has enabled as sasl-mechanism."
        )
        raise AccessDenied(message)
    given = kafka.arguments
    mechanism = get_sasl_mechanism(login.mechanism)(**given, host=server)
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = _asked(wire, server, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        error, length = struct.unpack_from(">hh", answer)
        if error != 0:
            message = (
                f"Kafka at {server} does not let {login.username!r} in by {login.mechanism}. It "
                f"must know the user, and the password must be its own. Mend sasl-username or the "
                f"password of the profile."
            )
            raise AccessDenied(message)
        try:
            mechanism.receive(answer[8 + max(length, 0) :])
        except (KeyError, ValueError) as exc:
            message = (
                f"Kafka at {server} could not prove that it knows the password of "
                f"{login.username!r}. It must, or it may be somebody else. Check bootstrap-servers "
                f"of the profile."
            )
            raise AccessDenied(message) from exc


def _asked(wire: socket.socket, server: str, api: int, version: int, body: bytes) -> bytes:
    """The body of the answer to a request, whose header is without a client's name."""
    header = struct.pack(">hhih", api, version, 0, -1)
    wire.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    begin = _read(wire, 4)
    length = struct.unpack(">i", begin)[0]
    if begin[0] == _TLS_ALERT or not 4 <= length <= _LONGEST:
        message = (
            f"Kafka at {server} answers with something else than Kafka's protocol. Where it speaks "
            f"TLS, the client must too. Choose a profile with security-protocol SSL or SASL_SSL by "
            f"--kafka-profile, or another port."
        )
        raise TlsFailed(message)
    return _read(wire, length)[4:]


def _read(wire: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = wire.recv(size - len(found))
        if not more:
            message = "the connection was closed"
            raise ConnectionError(message)
        found += more
    return found


@contextmanager
def _explained(server: str, kafka: Kafka) -> Iterator[None]:
    """Say what is wrong with TLS, in one sentence."""
    try:
        yield
    except ssl.SSLCertVerificationError as exc:
        raise TlsFailed(_distrusted(server, kafka, exc)) from exc
    except TimeoutError:
        raise
    except (ssl.SSLError, ConnectionError) as exc:
        raise TlsFailed(_refused(server, kafka, exc)) from exc


def _distrusted(server: str, kafka: Kafka, error: ssl.SSLCertVerificationError) -> str:
    fault = _UNTIMELY.get(error.verify_code)
    if fault is not None:
        return (
            f"The certificate of Kafka at {server}, or of its authority, {fault}. Only one that is "
            f"valid now is trusted. Have it renewed on the broker, or set this machine's clock."
        )
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            f"The certificate of Kafka at {server} is made for another name: "
            f"{error.verify_message.rstrip('.')}. The name must be in it. Write a name that is in "
            f"it into bootstrap-servers, or have it made anew; ssl-check-hostname = false takes "
            f"any name."
        )
    whom = kafka.security.cafile or "this system"
    return (
        f"The certificate of Kafka at {server} is signed by nobody whom {whom} trusts "
        f"({error.verify_message.rstrip('.')}). The profile must name who signed it. Let "
        f"ssl-cafile be that authority's PEM file."
    )


def _refused(server: str, kafka: Kafka, error: OSError) -> str:
    reason = getattr(error, "reason", None) or type(error).__name__
    certificate = kafka.security.certificate
    if "ALERT" not in str(reason):
        return (
            f"Kafka at {server} does not speak TLS with us ({reason}). The port must be one for "
            f"{kafka.security.protocol}. Check bootstrap-servers and security-protocol."
        )
    if certificate is None:
        return (
            f"Kafka at {server} asks for a certificate of ours ({reason}). Mutual TLS needs one. "
            f"Name it with ssl-certfile, or use a port without mutual TLS."
        )
    fault = invalidity(certificate.certfile, datetime.now(UTC))
    if fault is not None:
        return (
            f"Kafka at {server} does not accept our certificate: {certificate.certfile} {fault}. "
            f"It must be valid now. Have it renewed, or set this machine's clock."
        )
    return (
        f"Kafka at {server} does not accept the certificate {certificate.certfile} ({reason}). It "
        f"must be valid and signed by an authority that the broker trusts. Have it made anew."
    )
