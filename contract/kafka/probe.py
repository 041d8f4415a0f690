"""Checks a connection before a client is created, to report at once what is wrong with it.

kafka-python's clients retry until their timeout, then report that no broker answered, and leave
threads and sockets behind. So create a client only after `check_connection`.
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


class Reachability(IntEnum):
    """The outcome of an attempt to connect."""

    REFUSED = 0
    """Nothing listens there, or no machine has that name."""
    IGNORED = 1
    """The attempt timed out."""
    ACCEPTED = 2
    """Something listens there, which may or may not answer."""


def probe(kafka: Kafka, seconds: float) -> Reachability:
    """Connect to each of the servers, waiting for so long at most, and send nothing; returns the
    best outcome.
    """
    return max(_probe(server, seconds) for server in _servers(kafka))


def _probe(server: str, seconds: float) -> Reachability:
    try:
        socket.create_connection(_address(server), seconds).close()
    except TimeoutError:
        return Reachability.IGNORED
    except (OSError, ValueError):
        return Reachability.REFUSED
    return Reachability.ACCEPTED


def check_connection(kafka: Kafka, seconds: float) -> None:
    """Return once one of the servers has answered and accepted our login; each may take so long.

    Raises TlsFailed and AccessDenied, and OSError or ValueError if none answers.
    """
    servers = _servers(kafka)
    for number, server in enumerate(servers, start=1):
        try:
            _check_server(server, kafka, seconds)
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


def _check_server(server: str, kafka: Kafka, seconds: float) -> None:
    host, port = _address(server)
    with socket.create_connection((host, port), seconds) as stream:
        if not kafka.security.encrypted:
            _log_in(stream, server, kafka)
            return
        context = kafka.security.context()
        with (
            _translate_tls_errors(server, kafka),
            context.wrap_socket(stream, server_hostname=host) as encrypted,
        ):
            _log_in(encrypted, server, kafka)


def _log_in(stream: socket.socket, server: str, kafka: Kafka) -> None:
    """Request the broker's API versions, then log in."""
    _request(stream, server, _API_VERSIONS, 0, b"")
    login = kafka.security.login
    if login is None:
        return
    name = login.mechanism.encode()
    handshake = struct.pack(">h", len(name)) + name
    answer = _request(stream, server, _SASL_HANDSHAKE, 1, handshake)
    if struct.unpack_from(">h", answer)[0] != 0:
        message = (
            f"Kafka at {server} does not accept {login.mechanism}. Both sides must support "
            f"the mechanism. Set sasl-mechanism to one that the broker has enabled."
        )
        raise AccessDenied(message)
    mechanism = get_sasl_mechanism(login.mechanism)(**kafka.arguments, host=server)
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = _request(
            stream, server, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token
        )
        error, length = struct.unpack_from(">hh", answer)
        if error != 0:
            message = (
                f"Kafka at {server} refuses the login of {login.username!r} by {login.mechanism}. "
                f"User and password must be valid there. Fix sasl-username or the password of the "
                f"profile."
            )
            raise AccessDenied(message)
        try:
            mechanism.receive(answer[8 + max(length, 0) :])
        except (KeyError, ValueError) as exc:
            message = (
                f"Kafka at {server} could not prove that it knows the password of "
                f"{login.username!r}. It must, as it may be an impostor otherwise. Check "
                f"bootstrap-servers of the profile."
            )
            raise AccessDenied(message) from exc


def _request(stream: socket.socket, server: str, api: int, version: int, body: bytes) -> bytes:
    """Send a request, without a client id; returns the body of the response."""
    header = struct.pack(">hhih", api, version, 0, -1)
    stream.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    prefix = _read(stream, 4)
    length = struct.unpack(">i", prefix)[0]
    if prefix[0] == _TLS_ALERT or not 4 <= length <= _LONGEST:
        message = (
            f"Kafka at {server} does not answer in Kafka's protocol. Where it uses TLS, the "
            f"client must, too. Set --kafka-profile to a profile with security-protocol SSL or "
            f"SASL_SSL, or use another port."
        )
        raise TlsFailed(message)
    return _read(stream, length)[4:]


def _read(stream: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = stream.recv(size - len(content))
        if not more:
            message = "the connection was closed"
            raise ConnectionError(message)
        content += more
    return content


@contextmanager
def _translate_tls_errors(server: str, kafka: Kafka) -> Iterator[None]:
    """Raise TLS errors of the body as TlsFailed."""
    try:
        yield
    except ssl.SSLCertVerificationError as exc:
        raise TlsFailed(_distrust_message(server, kafka, exc)) from exc
    except TimeoutError:
        raise
    except (ssl.SSLError, ConnectionError) as exc:
        raise TlsFailed(_refusal_message(server, kafka, exc)) from exc


def _distrust_message(server: str, kafka: Kafka, error: ssl.SSLCertVerificationError) -> str:
    fault = _UNTIMELY.get(error.verify_code)
    if fault is not None:
        return (
            f"The certificate of Kafka at {server}, or of its authority, {fault}. It must be "
            f"valid now. Renew it on the broker, or set this machine's clock."
        )
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            f"The certificate of Kafka at {server} was issued for another name: "
            f"{error.verify_message.rstrip('.')}. It must contain the name of the server. Set "
            f"bootstrap-servers to a name in it, or have it issued again; ssl-check-hostname = "
            f"false accepts any name."
        )
    authority = kafka.security.cafile or "this system"
    return (
        f"The certificate of Kafka at {server} is not signed by an authority that {authority} "
        f"trusts ({error.verify_message.rstrip('.')}). The profile must name that authority. Set "
        f"ssl-cafile to its PEM file."
    )


def _refusal_message(server: str, kafka: Kafka, error: OSError) -> str:
    reason = getattr(error, "reason", None) or type(error).__name__
    certificate = kafka.security.certificate
    if "ALERT" not in str(reason):
        return (
            f"Kafka at {server} does not accept TLS ({reason}). The port must be one for "
            f"{kafka.security.protocol}. Check bootstrap-servers and security-protocol."
        )
    if certificate is None:
        return (
            f"Kafka at {server} asks for a client certificate ({reason}). Mutual TLS needs one. "
            f"Set ssl-certfile, or use a port without mutual TLS."
        )
    fault = invalidity(certificate.certfile, datetime.now(UTC))
    if fault is not None:
        return (
            f"Kafka at {server} does not accept our certificate: {certificate.certfile} {fault}. "
            f"It must be valid now. Renew it, or set this machine's clock."
        )
    return (
        f"Kafka at {server} does not accept the certificate {certificate.certfile} ({reason}). It "
        f"must be valid and signed by an authority that the broker trusts. Have it issued again."
    )
