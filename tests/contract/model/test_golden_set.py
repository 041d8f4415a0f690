"""A golden set is one for its model, or refused: no pickle, no bomb, no other form."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from contract.errors import BundleError
from contract.model import bundle
from contract.model.bundle import Bundle

GOOD = {
    "inputs": np.zeros((3, 8, 6, 2), np.uint8),
    "probabilities": np.full((3, 2), 0.5, np.float32),
    "labels": np.zeros(3, np.int64),
}


def sealed_with(made: Bundle, content: bytes) -> Bundle:
    """The bundle with another golden set, sealed again by whoever made that."""
    (made.folder / bundle.GOLDEN).write_bytes(content)
    digests = {**made.manifest.files, bundle.GOLDEN: hashlib.sha256(content).hexdigest()}
    manifest = made.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"files": digests}))
    return bundle.load(made.folder)


def arrays_as(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"labels": np.array([{}] * 3, object)}, r"labels is object \(3,\), not int64 of n"),
        ({"labels": np.zeros(3, np.int32)}, r"labels is int32"),
        ({"labels": np.array([0, 1, 2])}, "labels beyond its 2 classes"),
        ({"labels": np.array([0, 1, -1])}, "labels beyond its 2 classes"),
        ({"labels": np.zeros(2, np.int64)}, "its arrays have 2, 3 rows"),
        ({"probabilities": np.zeros((3, 3), np.float32)}, r"\(3, 3\), not float32 of n x 2"),
        ({"probabilities": np.full((3, 2), np.nan, np.float32)}, "that are not finite"),
        ({"inputs": np.zeros((3, 8, 6, 1), np.uint8)}, r"not uint8 of n x 8 x 6 x 2"),
        ({"inputs": np.zeros((0, 8, 6, 2), np.uint8)}, r"inputs is uint8 \(0, 8, 6, 2\)"),
    ],
)
def test_a_golden_set_of_another_form_is_refused(
    made: Bundle, arrays: dict[str, object], match: str
) -> None:
    with pytest.raises(BundleError, match=rf"golden\.npz .* is no golden set: .*{match}"):
        _ = sealed_with(made, arrays_as(**GOOD | arrays)).golden


def test_a_golden_set_that_unpacks_to_very_much_is_refused_at_once(made: Bundle) -> None:
    much = {"inputs": np.zeros((3_000_000, 8, 6, 2), np.uint8)}  # 288 MB in 280 KB
    with pytest.raises(BundleError, match=r"its arrays take 288,000,\d{3} bytes, more than"):
        _ = sealed_with(made, arrays_as(**GOOD | much)).golden


def renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"no archive at all",
        pickle.dumps(GOOD),
        arrays_as(**GOOD)[:-1],
        arrays_as(**GOOD)[:400] + arrays_as(**GOOD)[500:],
        renamed(arrays_as(**GOOD), b"labels.npy", b"labelz.npy"),
        renamed(arrays_as(**GOOD), b"PK\x05\x06", b"PK\x05\x07"),
        arrays_as(**GOOD)[:-10] + b"\xff\xff\xff\x7f" + arrays_as(**GOOD)[-6:],
    ],
    ids=range(9),
)
def test_a_golden_set_that_is_no_archive_is_refused(made: Bundle, content: bytes) -> None:
    with pytest.raises(BundleError, match="is no golden set"):
        _ = sealed_with(made, content).golden


def test_a_header_that_claims_terabytes_is_refused(made: Bundle) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in GOOD.items():
            entry = io.BytesIO()
            np.save(entry, values)
            claimed = entry.getvalue()
            if name == "inputs":
                claimed = renamed(claimed, b"(3, 8, 6, 2), }        ", b"(300000000, 8, 6, 2), }")
            archive.writestr(f"{name}.npy", claimed)
    with pytest.raises(BundleError, match=r"inputs has 288 bytes, and \(300000000, 8, 6, 2\)"):
        _ = sealed_with(made, file.getvalue()).golden
