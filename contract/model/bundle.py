"""The bundle: a folder that holds a trained model and everything needed to score with it.

Whoever may write to the registry may have written it. So its files are regular ones, of bounded
number and size; each is read once, and used only if the bytes that were read have its digest.

manifest.json   what it is, and the SHA-256 of every other file
model.onnx      input "X" float32 (N, H, W, C), scaled; output "probabilities" (N, K)
model.int8.onnx the same in whole numbers of eight bits, if training made it
dml/            the compiled model and its weights, as keras2dml writes them
golden.npz      some images, the probabilities that any engine must give for them, and their labels
plots/          pictures of the training
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
"""Files and folders in a bundle at most."""

FILE_BYTES = 1 << 30
"""Bytes of a file of a bundle at most."""

MANIFEST_BYTES = 1 << 20
GOLDEN_BYTES = 1 << 28
"""Of a golden set, unpacked."""


class Golden(NamedTuple):
    """Images that were not trained on, and what any engine has to make of them."""

    inputs: NDArray[np.uint8]
    """(n, H, W, C)"""
    probabilities: NDArray[np.float32]
    """(n, K)"""
    labels: NDArray[np.int64]
    """The place of the true class among the bundle's (n)."""


@dataclass(frozen=True)
class Bundle:
    """A folder whose files are what its manifest says; made by `load` and `write` only."""

    folder: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json, and so of everything: two bundles with one digest are the same."""

    def read(self, name: str) -> bytes:
        """The bytes of a file, read now; raises BundleError unless they have its digest.

        Take them from here rather than open the file, which may be another one by then.
        """
        try:
            content = files.read(self.folder / name, FILE_BYTES, follow_links=False)
        except OSError as exc:
            raise _changed(self.folder, [f"{name} cannot be read ({exc.strerror})"]) from exc
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.manifest.files.get(name):
            raise _changed(self.folder, [_other_digest(name, digest, self.manifest)])
        return content

    @property
    def golden(self) -> Golden:
        """The golden set, read anew; raises BundleError unless it is one for this model."""
        classes = len(self.manifest.classes)
        forms = {
            "inputs": Form(np.uint8, (None, *self.manifest.input_shape)),
            "probabilities": Form(np.float32, (None, classes)),
            "labels": Form(np.int64, (None,)),
        }
        try:
            golden = Golden(**arrays.of_npz(self.read(GOLDEN), forms, GOLDEN_BYTES))
            _check_golden(golden, classes)
        except ValueError as exc:
            message = (
                f"{GOLDEN} of the bundle {self.folder} is no golden set: {exc}. It must be as the "
                f"training of this version writes it. Train again."
            )
            raise BundleError(message) from exc
        return golden

    @property
    def plots(self) -> list[Path]:
        """The pictures, by name; they are kept as they are, and nothing of ours opens them."""
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
    """Seal a folder that holds model.onnx and dml/ (and plots/ if any): golden set, then manifest.

    The manifest comes last and whole, so a folder with a manifest is a complete bundle. Raises
    BundleError if a part is missing, too large or no regular file.
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
    """The bundle in a folder, every file checked against its digest; runs nothing that it holds.

    Raises BundleError if the manifest is missing or not understood, if a file is missing, too many,
    too large or changed, and if something there is no regular file.
    """
    try:
        text = files.read(folder / MANIFEST, MANIFEST_BYTES, follow_links=False)
    except OSError as exc:
        message = (
            f"{folder} is no bundle: {MANIFEST} cannot be read ({exc.strerror}). Training writes "
            f"it last. Train again, or name the folder that holds it."
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
            complaints.append(_other_digest(name, digest, manifest))
    needed = {ONNX, GOLDEN} - manifest.files.keys()
    complaints += [f"{name} is not part of it" for name in sorted(needed)]
    if not any(name.startswith(f"{DML}/") for name in manifest.files):
        complaints.append(f"{DML}/ is not part of it")
    if complaints:
        raise _changed(folder, complaints)


def _digest(folder: Path, name: str) -> str:
    try:
        return files.sha256(folder / name, FILE_BYTES)
    except OSError as exc:
        message = (
            f"{name} of the bundle {folder} cannot be sealed: {exc.strerror}. A bundle holds "
            f"regular files of at most {FILE_BYTES:,} bytes. Leave it out, or make it smaller."
        )
        raise BundleError(message) from exc


def _other_digest(name: str, digest: str, manifest: Manifest) -> str:
    return f"{name} has SHA-256 {digest}, not {manifest.files.get(name)}"


def _changed(folder: Path, complaints: Sequence[str]) -> BundleError:
    return BundleError(
        f"The bundle {folder} is not what its manifest says: {'; '.join(complaints)}. A bundle "
        f"is used only unchanged. Copy it again from where it was made, or train again."
    )


def _names(folder: Path) -> set[str]:
    """The paths of all files below the folder; raises BundleError if one is no regular file."""
    try:
        kinds = files.below(folder, FILES)
    except OSError as exc:
        message = (
            f"The bundle {folder} cannot be read: {exc.strerror}. A bundle has some ten files. "
            f"Copy it again from where it was made, or train again."
        )
        raise BundleError(message) from exc
    strange = [f"{name} is {kind}" for name, kind in sorted(kinds.items()) if kind]
    if strange:
        message = (
            f"The bundle {folder} holds what is no regular file: {'; '.join(strange)}. A bundle's "
            f"files lie in its folder. Put a copy of the file there."
        )
        raise BundleError(message)
    return set(kinds)


def _check_golden(golden: Golden, classes: int) -> None:
    counts = {len(values) for values in golden}
    if len(counts) > 1:
        message = f"its arrays have {', '.join(map(str, sorted(counts)))} rows"
        raise ValueError(message)
    if not np.isfinite(golden.probabilities).all():
        message = "it has probabilities that are no numbers"
        raise ValueError(message)
    if golden.labels.min() < 0 or golden.labels.max() >= classes:
        message = f"it has labels beyond its {classes} classes"
        raise ValueError(message)
