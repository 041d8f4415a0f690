"""Files by which the embedded Kafka and its clients know each other, damaged or gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digitstream import certificates, secure


def test_a_certificate_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    secure.prepare(tmp_path)
    folder = secure.folder(tmp_path)
    (folder / "reader.pem").write_bytes(b"")
    secure.prepare(tmp_path)
    assert certificates.valid(folder / "reader.pem", certificates.now())


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
    secure.prepare(tmp_path)
    (tmp_path / "kafka" / "data").mkdir()
    (tmp_path / "kafka" / "data" / "meta.properties").touch()
    file = secure.folder(tmp_path) / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(
        certificates.SecretsDamaged, match=f"{name} cannot be used .* Restore it, or"
    ):
        secure.prepare(tmp_path)
        secure.credentials(tmp_path)


def test_a_certificate_without_its_authority_is_no_beginning(tmp_path: Path) -> None:
    secure.prepare(tmp_path)
    key = (secure.folder(tmp_path) / "ca.key").read_bytes()
    (secure.folder(tmp_path) / "ca.pem").unlink()
    with pytest.raises(certificates.SecretsDamaged, match=r"ca\.pem cannot be used"):
        secure.prepare(tmp_path)
    assert (secure.folder(tmp_path) / "ca.key").read_bytes() == key


def test_doors_stay_locked_whatever_is_lost(tmp_path: Path) -> None:
    assert not secure.there(tmp_path)
    secure.prepare(tmp_path)
    (secure.folder(tmp_path) / "ca.pem").unlink()
    assert secure.there(tmp_path)
    text = secure.properties(tmp_path, "127.0.0.1", dict.fromkeys(secure.LISTENERS, 1), 2, 3)
    (tmp_path / "kafka" / "server.properties").write_text(text)
    shutil.rmtree(secure.folder(tmp_path))
    assert secure.there(tmp_path)
