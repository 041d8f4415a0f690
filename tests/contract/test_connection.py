"""What clients get of a connection, and what nobody sees of it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest

from contract.connection import Certificate, Kafka, Login, Secret, Security

PASSWORD = 'hid"d3n\\x'
LOGIN = Login("SCRAM-SHA-512", "scorer", Secret(PASSWORD))
SASL = Kafka("a:1, b:2", Security("SASL_SSL", LOGIN, Path("ca.pem")))


def test_without_security_there_is_the_address_alone() -> None:
    plain = Kafka("a:1, b:2")
    assert plain.arguments == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert plain.properties == {"bootstrap.servers": "a:1, b:2"}
    assert plain.options == {"kafka.bootstrap.servers": "a:1, b:2"}
    assert str(plain) == "a:1, b:2"


def test_a_login_goes_to_python_and_java() -> None:
    assert SASL.arguments["sasl_plain_password"] == PASSWORD
    assert SASL.arguments["sasl_plain_username"] == "scorer"
    assert SASL.arguments["ssl_cafile"] == "ca.pem"
    options = SASL.options
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="scorer" password="hid\\"d3n\\\\x";'
    )
    assert options["kafka.ssl.truststore.location"] == str(Path("ca.pem").resolve())


def test_a_certificate_goes_to_python_and_java(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text("CHAIN"), key.write_text("KEY")
    both = Kafka("a:1", Security("SSL", certificate=Certificate(chain)))
    assert both.arguments["ssl_certfile"] == str(chain)
    assert both.properties["ssl.keystore.location"] == str(chain)
    apart = Kafka("a:1", Security("SSL", certificate=Certificate(chain, key, Secret("x"))))
    assert apart.arguments["ssl_keyfile"] == str(key)
    assert apart.properties["ssl.keystore.key"] == "KEY"
    assert apart.properties["ssl.key.password"] == "x"


def test_no_secret_shows() -> None:
    for shown in (repr(SASL), str(SASL), repr(asdict(SASL)), repr(copy.deepcopy(SASL))):
        assert "d3n" not in shown
    assert Kafka("a:1, b:2", Security("SASL_SSL", LOGIN, Path("ca.pem"))) == SASL
    with pytest.raises(TypeError, match="does not leave its process"):
        pickle.dumps(SASL)
