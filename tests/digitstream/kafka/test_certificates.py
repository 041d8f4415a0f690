"""Files by which the embedded Kafka and its clients know each other, damaged or gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digitstream.kafka import certificates, security


def test_a_certificate_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    security.prepare(tmp_path)
    folder = security.folder(tmp_path)
    (folder / "reader.pem").write_bytes(b"")
    security.prepare(tmp_path)
    assert certificates.is_valid(folder / "reader.pem", certificates.now())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ca.key", None),
        ("ca.key", b"no key"),
        ("ca.pem", b""),
        ("ca.pem", None),
        ("reader.password", None),
        ("reader.password", b""),
        ("reader.password", b"\xff"),
        ("reader.password", b'x" y="'),
    ],
)
def test_what_nothing_can_take_the_place_of_is_named(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    security.prepare(tmp_path)
    (tmp_path / "kafka" / "data").mkdir()
    (tmp_path / "kafka" / "data" / "meta.properties").touch()
    file = security.folder(tmp_path) / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(
        certificates.SecretsDamaged, match=f"{name} cannot be used .* Restore it, or"
    ):
        security.prepare(tmp_path)
        security.credentials(tmp_path)


def test_a_certificate_without_its_authority_is_no_beginning(tmp_path: Path) -> None:
    security.prepare(tmp_path)
    key = (security.folder(tmp_path) / "ca.key").read_bytes()
    (security.folder(tmp_path) / "ca.pem").unlink()
    with pytest.raises(certificates.SecretsDamaged, match=r"ca\.pem cannot be used"):
        security.prepare(tmp_path)
    assert (security.folder(tmp_path) / "ca.key").read_bytes() == key


def test_doors_stay_locked_whatever_is_lost(tmp_path: Path) -> None:
    assert not security.is_secure(tmp_path)
    security.prepare(tmp_path)
    (security.folder(tmp_path) / "ca.pem").unlink()
    assert security.is_secure(tmp_path)
    text = security.properties(tmp_path, "127.0.0.1", dict.fromkeys(security.LISTENERS, 1), 2, 3)
    (tmp_path / "kafka" / "server.properties").write_text(text)
    shutil.rmtree(security.folder(tmp_path))
    assert security.is_secure(tmp_path)
