"""A bundle is whole and unchanged, or refused with the file's name."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.errors import BundleError
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.model.manifest import Manifest
from contract.model.scaling import Scaling
from tests.contract.model.conftest import write

Make = Callable[..., Bundle]


def refuses(made: Bundle, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        bundle.load(made.folder)


def edit(made: Bundle, **fields: object) -> None:
    path = made.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_written_bundle_loads_as_it_was_written(made: Bundle) -> None:
    loaded = bundle.load(made.folder)
    assert loaded == made
    assert loaded.manifest.input_shape == (8, 6, 2)
    assert loaded.manifest.classes == ("cat", "dog")
    assert loaded.manifest.scaling == Scaling(1 / 255, 0.0)
    assert loaded.read(bundle.ONNX) == b"model.onnx"
    assert loaded.read("dml/predict.dml") == b"dml/predict.dml"
    assert [plot.name for plot in loaded.plots] == ["loss.png"]
    inputs, probabilities, labels = loaded.golden
    assert (inputs.shape, inputs.dtype) == ((3, 8, 6, 2), "uint8")
    assert probabilities.tolist() == [[0.5, 0.5]] * 3
    assert labels.tolist() == [0, 1, 1]


def test_a_manifest_says_only_what_is_not_as_usual(made: Bundle) -> None:
    body = json.loads((made.folder / "manifest.json").read_text())
    assert body["scaling"] == {"scale": 1 / 255, "minimum": 0.0}
    assert "colour" not in body
    assert made.manifest.colour == "refuse"
    edit(made, colour="convert", scaling=body["scaling"] | {"ink": "light", "invert": "auto"})
    again = bundle.load(made.folder).manifest
    assert (again.colour, again.scaling) == ("convert", Scaling(1 / 255, 0.0, "light", "auto"))
    assert Manifest.of(again.to_json(), made.folder) == again


def test_writing_again_seals_the_folder_as_it_is_then(make: Make, made: Bundle) -> None:
    (made.folder / "plots" / "late.png").write_text("late")
    again = make(made.folder)
    assert "plots/late.png" in again.manifest.files
    assert again.digest != made.digest


def test_one_changed_byte_is_named_with_both_digests(made: Bundle) -> None:
    (made.folder / "dml/predict.dml").write_text("dml/predict.dmL")
    expected = made.manifest.files["dml/predict.dml"]
    refuses(made, rf"dml/predict.dml has SHA-256 [0-9a-f]{{64}}, not {expected}")


def test_missing_and_extra_files_are_told_at_once(made: Bundle) -> None:
    (made.folder / bundle.ONNX).unlink()
    (made.folder / "dml" / "extra").write_text("")
    refuses(made, "model.onnx is missing; dml/extra is not in the manifest")


def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    made: Bundle, tmp_path: Path
) -> None:
    model = made.folder / bundle.ONNX
    model.rename(tmp_path / "elsewhere")
    model.symlink_to(tmp_path / "elsewhere")
    (made.folder / "more").symlink_to(tmp_path)
    os.mkfifo(made.folder / "dml" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(made.folder / "socket"))
    refuses(
        made,
        "other than regular files: dml/pipe is a named pipe; model.onnx is a symbolic link; "
        "more is a symbolic link; socket is a socket",
    )


def test_a_manifest_that_is_a_pipe_or_a_device_is_refused_and_not_waited_for(
    made: Bundle,
) -> None:
    manifest = made.folder / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    refuses(made, r"manifest\.json cannot be read \(it is a named pipe, not a regular file\)")
    manifest.unlink()
    manifest.symlink_to("/dev/zero")
    refuses(made, r"manifest\.json cannot be read \(it is a symbolic link, not a regular file\)")


def test_files_that_are_too_large_or_too_many_are_refused(
    made: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(made.folder / bundle.ONNX, 1 << 40)
    refuses(made, r"model\.onnx cannot be read \(it is larger than 1,073,741,824 bytes\)")
    os.truncate(made.folder / "manifest.json", 1 << 40)
    refuses(made, "it is larger than 1,048,576 bytes")
    with pytest.raises(
        BundleError, match=r"model\.onnx of the bundle .* cannot be sealed: it is l"
    ):
        write(made.folder, parts=())
    other = write(made.folder.with_name("other"))
    monkeypatch.setattr(bundle, "FILES", 4)
    refuses(other, "contains more than 4 files and folders")


def test_a_file_is_used_as_it_was_when_it_was_digested(made: Bundle) -> None:
    (made.folder / bundle.ONNX).write_text("swapped")
    with pytest.raises(BundleError, match=r"model\.onnx has SHA-256 [0-9a-f]{64}, not"):
        made.read(bundle.ONNX)
    (made.folder / bundle.GOLDEN).unlink()
    os.mkfifo(made.folder / bundle.GOLDEN)
    with pytest.raises(BundleError, match=r"golden\.npz cannot be read \(it is a named pipe"):
        _ = made.golden
    with pytest.raises(BundleError, match=r"manifest\.json has SHA-256 [0-9a-f]{64}, not None"):
        made.read("manifest.json")


def test_a_bundle_without_a_model_is_refused(make: Make, made: Bundle) -> None:
    (made.folder / bundle.ONNX).unlink()
    shutil.rmtree(made.folder / bundle.DML)
    with pytest.raises(BundleError, match=r"model\.onnx is not part of it; dml/ is not"):
        make(made.folder, parts=())


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is no bundle: manifest\.json cannot be read"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"format": 1}, "its format is not 2"),
        ({"input_shape": [28, 28]}, "input_shape is"),
        ({"input_shape": [28, 28, True]}, "input_shape is"),
        ({"classes": ["a", "a"]}, "classes is"),
        ({"classes": [0, False]}, "classes is"),
        ({"classes": [0, 10**30]}, "classes is"),
        ({"classes": ["\ud800", "b"]}, "classes is"),
        ({"scaling": {"scale": float("inf"), "minimum": 0}}, "no JSON number"),
        ({"scaling": {"scale": 10**400, "minimum": 0}}, "scaling is"),
        ({"scaling": {"scale": 1}}, "scaling is"),
        ({"scaling": [1, 0]}, "scaling is"),
        ({"scaling": {"scale": 1, "minimum": 0, "ink": "red"}}, "scaling is"),
        ({"scaling": {"scale": 1, "minimum": 0, "ink": None}}, "scaling is"),
        ({"scaling": {"scale": 1, "minimum": 0, "invert": "auto"}}, "scaling is"),
        ({"scaling": {"scale": 1, "minimum": 0, "ink": "dark", "invert": []}}, "scaling is"),
        ({"scaling": {"scale": 1, "minimum": 0, "gamma": 2}}, "scaling is"),
        ({"colour": "guess"}, "colour is"),
        ({"colour": None}, "colour is"),
        ({"files": {"../model.onnx": "0" * 64}}, "files is"),
        ({"files": {"/etc/passwd": "0" * 64}}, "files is"),
        ({"files": {"a//b": "0" * 64}}, "files is"),
        ({"files": {"a": "0"}}, "files is"),
        ({"created": "yesterday"}, "created is"),
        ({"dtype": "float32"}, "dtype is"),
        ({"surprise": 1}, "surprise is unknown"),
        ({"name": "", "metrics": []}, "metrics is .*; name is"),
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_refused(
    made: Bundle, fields: dict[str, object], match: str
) -> None:
    edit(made, **fields)
    refuses(made, match)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_no_object_is_refused(made: Bundle, text: bytes) -> None:
    (made.folder / "manifest.json").write_bytes(text)
    refuses(made, "is invalid")
