"""The bundle: a folder with a trained model and everything needed to score with it.

A bundle may come from anyone who can write to the registry. So its files must be regular files of
limited number and size; each is read once, and used only if the bytes read match its digest.

manifest.json   the description, and the SHA-256 of every other file
model.onnx      input "X" float32 (N, H, W, C), scaled; output "probabilities" (N, K)
model.int8.onnx the same model quantized to 8-bit integers, if training made it
dml/            the compiled model and its weights, as keras2dml writes them
golden.npz      some images, their labels, and the probabilities that every engine must predict
plots/          plots of the training
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract import files
from contract.choices import Colour
from contract.data import arrays
from contract.data.arrays import Form
from contract.errors import BundleError
from contract.model.manifest import Class, Manifest
from contract.model.scaling import Scaling
from contract.wire.images import Shape

MANIFEST = "manifest.json"
ONNX = "model.onnx"
INT8 = "model.int8.onnx"
DML = "dml"
GOLDEN = "golden.npz"
PLOTS = "plots"

FILES = 1_000
"""Maximum number of files and folders in a bundle."""

FILE_BYTES = 1 << 30
"""Largest file in a bundle, in bytes."""

MANIFEST_BYTES = 1 << 20
GOLDEN_BYTES = 1 << 28
"""Largest golden set, decompressed."""


class Golden(NamedTuple):
    """Images not used in training, with the predictions that every engine must reproduce."""

    inputs: NDArray[np.uint8]
    """(n, H, W, C)"""
    probabilities: NDArray[np.float32]
    """(n, K)"""
    labels: NDArray[np.int64]
    """(n,): the index of the true class in the bundle's classes."""


@dataclass(frozen=True)
class Bundle:
    """A folder whose files match its manifest; created by `load` and `write` only."""

    folder: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json; bundles with the same digest are identical."""

    def read(self, name: str) -> bytes:
        """Read a file; raises BundleError unless its bytes match its digest.

        Use this rather than opening the file, which may have changed since the bundle was loaded.
        """
        try:
            content = files.read(self.folder / name, FILE_BYTES, follow_links=False)
        except OSError as exc:
            raise _mismatch_error(self.folder, [f"{name} cannot be read ({exc.strerror})"]) from exc
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.manifest.files.get(name):
            raise _mismatch_error(self.folder, [_digest_complaint(name, digest, self.manifest)])
        return content

    @property
    def golden(self) -> Golden:
        """The golden set, read from its file; raises BundleError unless it fits this model."""
        classes = len(self.manifest.classes)
        forms = {
            "inputs": Form(np.uint8, (None, *self.manifest.input_shape)),
            "probabilities": Form(np.float32, (None, classes)),
            "labels": Form(np.int64, (None,)),
        }
        try:
            golden = Golden(**arrays.read_npz(self.read(GOLDEN), forms, GOLDEN_BYTES))
            _check_golden(golden, classes)
        except ValueError as exc:
            message = (
                f"{GOLDEN} of the bundle {self.folder} is no golden set: {exc}. It must be as this "
                f"version's training writes it. Train again."
            )
            raise BundleError(message) from exc
        return golden

    @property
    def plots(self) -> list[Path]:
        """The paths of the plots; they are stored, but never opened."""
        return [self.folder / name for name in self.manifest.files if name.startswith(f"{PLOTS}/")]


def write(
    folder: Path,
    *,
    name: str,
    input_shape: Shape,
    classes: Sequence[Class],
    scaling: Scaling,
    versions: Mapping[str, str],
    data_sha256: str,
    metrics: Mapping[str, float],
    golden: Golden,
    colour: Colour = "refuse",
) -> Bundle:
    """Complete a folder that has model.onnx and dml/, and perhaps plots/: write golden set and
    manifest.

    The manifest is written last and atomically, so a folder with a manifest is a complete bundle.
    Raises BundleError if a part is missing, too large or not a regular file.
    """
    np.savez_compressed(
        folder / GOLDEN,
        inputs=np.asarray(golden.inputs, np.uint8),
        probabilities=np.asarray(golden.probabilities, np.float32),
        labels=np.asarray(golden.labels, np.int64),
    )
    manifest = Manifest(
        name=name,
        input_shape=input_shape,
        classes=tuple(classes),
        scaling=scaling,
        files={path: _digest(folder, path) for path in sorted(_names(folder) - {MANIFEST})},
        versions=dict(versions),
        data_sha256=data_sha256,
        metrics=dict(metrics),
        created=datetime.now(UTC),
        colour=colour,
    )
    draft = folder / f".{MANIFEST}"
    draft.write_bytes(manifest.to_json())
    draft.replace(folder / MANIFEST)
    return load(folder)


def load(folder: Path) -> Bundle:
    """Load a bundle and check every file against its digest; executes nothing in it.

    Raises BundleError if the manifest is missing or invalid, if a file is missing, unexpected, too
    large or changed, or if there is anything but regular files.
    """
    try:
        text = files.read(folder / MANIFEST, MANIFEST_BYTES, follow_links=False)
    except OSError as exc:
        message = (
            f"{folder} is no bundle: {MANIFEST} cannot be read ({exc.strerror}). Training writes "
            f"it last. Train again, or use the folder that contains it."
        )
        raise BundleError(message) from exc
    manifest = Manifest.of(text, folder)
    _check_files(folder, manifest)
    return Bundle(folder, manifest, hashlib.sha256(text).hexdigest())


def _check_files(folder: Path, manifest: Manifest) -> None:
    present = _names(folder) - {MANIFEST}
    complaints = [f"{name} is missing" for name in sorted(manifest.files.keys() - present)]
    complaints += [
        f"{name} is not in the manifest" for name in sorted(present - manifest.files.keys())
    ]
    for name in sorted(present & manifest.files.keys()):
        try:
            digest = files.sha256(folder / name, FILE_BYTES)
        except OSError as exc:
            complaints.append(f"{name} cannot be read ({exc.strerror})")
            continue
        if digest != manifest.files[name]:
            complaints.append(_digest_complaint(name, digest, manifest))
    needed = {ONNX, GOLDEN} - manifest.files.keys()
    complaints += [f"{name} is not part of it" for name in sorted(needed)]
    if not any(name.startswith(f"{DML}/") for name in manifest.files):
        complaints.append(f"{DML}/ is not part of it")
    if complaints:
        raise _mismatch_error(folder, complaints)


def _digest(folder: Path, name: str) -> str:
    try:
        return files.sha256(folder / name, FILE_BYTES)
    except OSError as exc:
        message = (
            f"{name} of the bundle {folder} cannot be sealed: {exc.strerror}. A bundle holds "
            f"regular files of at most {FILE_BYTES:,} bytes. Leave it out, or make it smaller."
        )
        raise BundleError(message) from exc


def _digest_complaint(name: str, digest: str, manifest: Manifest) -> str:
    return f"{name} has SHA-256 {digest}, not {manifest.files.get(name)}"


def _mismatch_error(folder: Path, complaints: Sequence[str]) -> BundleError:
    return BundleError(
        f"The bundle {folder} does not match its manifest: {'; '.join(complaints)}. Only an "
        f"unchanged bundle is used. Copy it again from its origin, or train again."
    )


def _names(folder: Path) -> set[str]:
    """The paths of all files below the folder; raises BundleError if one is not a regular file."""
    try:
        kinds = files.below(folder, FILES)
    except OSError as exc:
        message = (
            f"The bundle {folder} cannot be read: {exc.strerror}. A bundle has about ten files. "
            f"Copy it again from its origin, or train again."
        )
        raise BundleError(message) from exc
    irregular = [f"{name} is {kind}" for name, kind in sorted(kinds.items()) if kind]
    if irregular:
        message = (
            f"The bundle {folder} contains something other than regular files: "
            f"{'; '.join(irregular)}. A bundle's files must be in its folder. Put a copy of the "
            f"file there."
        )
        raise BundleError(message)
    return set(kinds)


def _check_golden(golden: Golden, classes: int) -> None:
    counts = {len(values) for values in golden}
    if len(counts) > 1:
        message = f"its arrays have {', '.join(map(str, sorted(counts)))} rows"
        raise ValueError(message)
    if not np.isfinite(golden.probabilities).all():
        message = "it has probabilities that are not finite"
        raise ValueError(message)
    if golden.labels.min() < 0 or golden.labels.max() >= classes:
        message = f"it has labels beyond its {classes} classes"
        raise ValueError(message)
