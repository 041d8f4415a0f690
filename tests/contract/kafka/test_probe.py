"""What is wrong with the way to Kafka is told in one sentence, at once."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contract.errors import AccessDenied, BrokerUnavailable, TlsFailed
from contract.kafka import clients
from contract.kafka.clients import connecting
from contract.kafka.connection import Certificate, Kafka, Login, Secret, Security
from contract.kafka.probe import check_connection
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.settings.sources import load
from contract.wire.topics import Topics
from digitstream.kafka import security as secure
from digitstream.kafka.certificates import LEAF_DAYS, Authority, now

NO_FILE = Path("no-such.toml")
KINDS = ("", "-plain", "-certificate")


def kafka(home: Path, profile: str) -> Kafka:
    return load(Settings, {"home": home, "kafka_profile": profile}, {}, NO_FILE).kafka


def refuses(way: Kafka, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told) as caught, connecting(way):
        pytest.fail("a client would be made")
    assert str(way) in str(caught.value)
    assert str(caught.value).count(". ") <= 2


@contextmanager
def served(pem: Path) -> Iterator[str]:
    """Somebody who has this certificate, for one client; gives the address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            opened, _ = server.accept()
            with opened:
                try:
                    context.wrap_socket(opened, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.kafka
@pytest.mark.parametrize("kind", KINDS)
def test_each_user_comes_in_by_each_of_its_profiles(locked_home: Path, kind: str) -> None:
    for user in secure.USERS:
        check_connection(kafka(locked_home, f"{user}{kind}"), 5)
    topics = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    ensure(kafka(locked_home, f"admin{kind}"), topics)
    ensure(kafka(locked_home, f"admin{kind}"), topics, create=False)


@pytest.mark.kafka
def test_the_other_scram_comes_in_too(locked_home: Path) -> None:
    way = kafka(locked_home, "admin")
    assert way.security.login is not None
    login = replace(way.security.login, mechanism="SCRAM-SHA-256")
    ensure(
        replace(way, security=replace(way.security, login=login)),
        Topics.named(f"test-{uuid.uuid4().hex[:8]}"),
    )


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["", "-plain"])
def test_a_wrong_password_is_told_at_once(locked_home: Path, kind: str) -> None:
    way = kafka(locked_home, f"scorer{kind}")
    assert way.security.login is not None
    wrong = replace(way.security.login, password=Secret("wrong"))
    refuses(
        replace(way, security=replace(way.security, login=wrong)),
        AccessDenied,
        "refuses the login of 'scorer' by .* Fix sasl-username or the password",
    )
    unknown = replace(way.security.login, username="stranger")
    refuses(
        replace(way, security=replace(way.security, login=unknown)),
        AccessDenied,
        "refuses the login of 'stranger'",
    )


@pytest.mark.kafka
def test_an_authority_that_did_not_sign_is_told(locked_home: Path, tmp_path: Path) -> None:
    Authority.of(tmp_path, now())
    way = kafka(locked_home, "scorer")
    for cafile, whom in ((tmp_path / "ca.pem", "ca.pem"), (None, "this system")):
        security = replace(way.security, cafile=cafile)
        refuses(
            replace(way, security=security),
            TlsFailed,
            f"not signed by an authority that .*{whom} trusts .*ssl-ca",
        )


@pytest.mark.kafka
def test_a_certificate_that_is_missing_or_not_trusted_is_told(
    locked_home: Path, tmp_path: Path
) -> None:
    way = kafka(locked_home, "scorer-certificate")
    security = replace(way.security, certificate=None)
    refuses(
        replace(way, security=security), TlsFailed, "asks for a client certificate .* ssl-certfile"
    )
    own, strange = tmp_path / "ended.pem", tmp_path / "strange.pem"
    long_ago = now() - timedelta(days=LEAF_DAYS + 1)
    own.write_bytes(Authority.of(secure.folder(locked_home), now()).issue("scorer", long_ago))
    strange.write_bytes(Authority.of(tmp_path, now()).issue("scorer", now()))
    for pem, told in {
        own: r"does not accept our certificate: .*ended\.pem expired at \d{4}-.* Renew it",
        strange: r"does not accept the certificate .*strange\.pem .* Have it issued again",
    }.items():
        security = replace(way.security, certificate=Certificate(pem))
        refuses(replace(way, security=security), TlsFailed, told)


@pytest.mark.kafka
def test_a_port_of_another_protocol_is_told(locked_home: Path, kafka_broker: object) -> None:
    way = kafka(locked_home, "scorer")
    refuses(Kafka(way.servers), TlsFailed, "does not answer in Kafka's protocol.* --kafka-profile")
    plain = getattr(kafka_broker, "bootstrap_servers")  # noqa: B009
    refuses(replace(way, servers=plain), TlsFailed, "does not accept TLS .* security-protocol")


@pytest.mark.parametrize(
    ("begin", "hosts", "told"),
    [
        (
            now() - timedelta(days=LEAF_DAYS + 1),
            ("127.0.0.1",),
            "or of its authority, expired.*Renew it",
        ),
        (now() + timedelta(days=1), ("127.0.0.1",), "is not valid yet.*this machine's clock"),
        (now(), ("kafka.example",), "issued for another name.*ssl-check-hostname"),
    ],
)
def test_a_certificate_of_kafka_that_does_not_hold_is_told(
    tmp_path: Path, begin: datetime, hosts: tuple[str, ...], told: str
) -> None:
    pem = tmp_path / "broker.pem"
    pem.write_bytes(Authority.of(tmp_path, now()).issue("broker", begin, hosts))
    security = Security("SSL", cafile=tmp_path / "ca.pem")
    with served(pem) as address, pytest.raises(TlsFailed, match=told):
        check_connection(Kafka(address, security), 5)


def test_who_does_not_know_the_password_itself_is_told() -> None:
    """Somebody who lets everybody in, and so cannot sign what Kafka would."""

    def answer(wire: socket.socket, *parts: bytes) -> bytes:
        asked = wire.recv(wire.recv(4)[3])
        body = struct.pack(">i", 0) + b"".join(parts)
        wire.sendall(struct.pack(">i", len(body)) + body)
        return asked

    def said(text: bytes) -> bytes:
        return struct.pack(">hhi", 0, -1, len(text)) + text

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            wire, _ = server.accept()
            with wire:
                for body in (bytes(2), bytes(6)):
                    answer(wire, body)
                length = wire.recv(4)[3]
                nonce = wire.recv(length).partition(b"r=")[2]
                first = said(b"r=" + nonce + b"x,s=c2FsdA==,i=4096")
                wire.sendall(struct.pack(">ii", len(first) + 4, 0) + first)
                answer(wire, said(b"v=bm90IGl0"))
                wire.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        login = Login("SCRAM-SHA-256", "scorer", Secret("password"))
        way = Kafka(f"127.0.0.1:{server.getsockname()[1]}", Security("SASL_PLAINTEXT", login))
        refuses(way, AccessDenied, "could not prove that it knows the password of 'scorer'")
        thread.join()


def test_nobody_there_is_no_matter_of_trust(tmp_path: Path) -> None:
    Authority.of(tmp_path, now())
    security = Security("SSL", cafile=tmp_path / "ca.pem")
    refuses(Kafka("127.0.0.1:1", security), BrokerUnavailable, "No Kafka broker answers")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_who_accepts_and_does_not_answer_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr(clients, "PATIENCE_MS", 200)
    Authority.of(tmp_path, now())
    security = Security(protocol, cafile=tmp_path / "ca.pem" if protocol == "SSL" else None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        way = Kafka(f"127.0.0.1:{server.getsockname()[1]}", security)
        told = "accepts connections and does not answer.*Look at its log and restart it"
        refuses(way, BrokerUnavailable, told)
        refuses(replace(way, servers=f"127.0.0.1:1, {way.servers}"), BrokerUnavailable, told)


def test_who_neither_accepts_nor_refuses_is_behind_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "PATIENCE_MS", 200)
    monkeypatch.setattr(clients, "_PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as waiting:
        address = server.getsockname()
        for _ in range(2):  # who waits to be accepted fills the queue: no more are let into it
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        told = "neither accepted nor refused.*Check the address, the network"
        refuses(Kafka(f"127.0.0.1:{address[1]}"), BrokerUnavailable, told)


@pytest.mark.kafka
def test_who_has_no_rights_is_told_which(locked_home: Path) -> None:
    topics = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    ensure(kafka(locked_home, "admin"), topics)
    needs = {topics.readings: "READ", topics.scores: "WRITE"}
    lacking = f"may not READ {topics.readings} or WRITE {topics.scores}"
    for profile, who in {"scorer": "scorer", "nobody": "an anonymous client"}.items():
        told = f"does not let {who} do .* {lacking}.*acls"
        with pytest.raises(AccessDenied, match=told):
            ensure(kafka(locked_home, profile), topics, needs=needs)
