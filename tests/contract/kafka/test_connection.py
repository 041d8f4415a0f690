"""What clients get of a connection, and what nobody sees of it."""

from __future__ import annotations

import copy
import pickle
import ssl
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from contract.kafka.connection import Certificate, Kafka, Login, Secret, Security
from digitstream.kafka.certificates import Authority, now

PASSWORD = 'hid"d3n\\x'
LOGIN = Login("SCRAM-SHA-512", "scorer", Secret(PASSWORD))
SASL = Kafka("a:1, b:2", Security("SASL_SSL", LOGIN))


def test_without_security_there_is_the_address_alone() -> None:
    plain = Kafka("a:1, b:2")
    assert plain.arguments == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert plain.properties == {"bootstrap.servers": "a:1, b:2"}
    assert str(plain) == "a:1, b:2"


def test_a_login_goes_to_python_and_java() -> None:
    assert SASL.arguments["sasl_plain_password"] == PASSWORD
    assert SASL.arguments["sasl_plain_username"] == "scorer"
    assert SASL.properties["security.protocol"] == "SASL_SSL"
    assert SASL.properties["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="scorer" password="hid\\"d3n\\\\x";'
    )


def test_certificates_go_to_python_and_java(tmp_path: Path) -> None:
    authority, both = Authority.of(tmp_path, now()), tmp_path / "both.pem"
    both.write_bytes(authority.issue("scorer", now()))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    key.write_text(both.read_text().partition("-----BEGIN CERT")[0])
    chain.write_text(both.read_text().removeprefix(key.read_text()))
    locked, loaded = tmp_path / "locked.pem", load_pem_private_key(key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"pw")
    locked.write_bytes(
        loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)
    )
    for certificate in (
        Certificate(both),
        Certificate(chain, key),
        Certificate(chain, locked, Secret("pw")),
    ):
        way = Kafka("a:1", Security("SSL", None, tmp_path / "ca.pem", certificate, False))
        context = way.arguments["ssl_context"]
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
        assert [int(each["serialNumber"], 16) for each in context.get_ca_certs()] == [
            authority.certificate.serial_number
        ]
        properties = way.properties
        assert properties["ssl.endpoint.identification.algorithm"] == ""
        assert (
            properties["ssl.truststore.certificates"] == (tmp_path / "ca.pem").read_text().strip()
        )
        assert properties["ssl.keystore.certificate.chain"] == chain.read_text().strip()
        assert properties["ssl.keystore.key"] == key.read_text()


def test_no_secret_shows() -> None:
    for shown in (repr(SASL), str(SASL), repr(asdict(SASL)), repr(copy.deepcopy(SASL))):
        assert "d3n" not in shown
    assert Kafka("a:1, b:2", Security("SASL_SSL", LOGIN)) == SASL
    with pytest.raises(TypeError, match="does not leave its process"):
        pickle.dumps(SASL)
