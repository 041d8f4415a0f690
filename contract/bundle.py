"""The bundle: a folder that holds a trained model and everything needed to score with it.

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

from contract.errors import BundleError
from contract.images import Shape
from contract.manifest import Class, Manifest
from contract.scaling import Scaling

MANIFEST = "manifest.json"
ONNX = "model.onnx"
INT8 = "model.int8.onnx"
DML = "dml"
GOLDEN = "golden.npz"
PLOTS = "plots"


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

    @property
    def onnx(self) -> Path:
        """The ONNX model: "X" float32 (N, H, W, C), scaled -> "probabilities" (N, K)."""
        return self.folder / ONNX

    @property
    def dml(self) -> Path:
        """The folder that `keras2dml.Scorer` reads."""
        return self.folder / DML

    @property
    def int8(self) -> Path | None:
        """The ONNX model in eight bits, with the same ends; None if training made none."""
        return self.folder / INT8 if INT8 in self.manifest.files else None

    @property
    def golden(self) -> Golden:
        """The golden set, read anew."""
        with np.load(self.folder / GOLDEN, allow_pickle=False) as arrays:
            return Golden(*(arrays[name] for name in Golden._fields))

    @property
    def plots(self) -> list[Path]:
        """The pictures, by name."""
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
) -> Bundle:
    """Seal a folder that holds model.onnx and dml/ (and plots/ if any): golden set, then manifest.

    The manifest comes last and whole, so a folder with a manifest is a complete bundle. Raises
    BundleError if a part is missing.
    """
    np.savez_compressed(folder / GOLDEN, **golden._asdict())
    manifest = Manifest(
        name=name,
        input_shape=input_shape,
        classes=tuple(classes),
        scaling=scaling,
        files={path: _sha256(folder / path) for path in sorted(_files(folder) - {MANIFEST})},
        versions=dict(versions),
        data_sha256=data_sha256,
        metrics=dict(metrics),
        created=datetime.now(UTC),
    )
    draft = folder / f".{MANIFEST}"
    draft.write_bytes(manifest.to_json())
    draft.replace(folder / MANIFEST)
    return load(folder)


def load(folder: Path) -> Bundle:
    """The bundle in a folder, every file checked against its digest; runs nothing that it holds.

    Raises BundleError if the manifest is missing or not understood, and if a file is missing, too
    many or changed.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
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
    found = _files(folder) - {MANIFEST}
    complaints = [f"{name} is missing" for name in sorted(manifest.files.keys() - found)]
    complaints += [
        f"{name} is not in the manifest" for name in sorted(found - manifest.files.keys())
    ]
    for name in sorted(found & manifest.files.keys()):
        digest = _sha256(folder / name)
        if digest != manifest.files[name]:
            complaints.append(f"{name} has SHA-256 {digest}, not {manifest.files[name]}")
    needed = {ONNX, GOLDEN} - manifest.files.keys()
    complaints += [f"{name} is not part of it" for name in sorted(needed)]
    if not any(name.startswith(f"{DML}/") for name in manifest.files):
        complaints.append(f"{DML}/ is not part of it")
    if complaints:
        message = (
            f"The bundle {folder} is not what its manifest says: {'; '.join(complaints)}. A bundle "
            f"is used only unchanged. Copy it again from where it was made, or train again."
        )
        raise BundleError(message)


def _files(folder: Path) -> set[str]:
    """The paths of all files below the folder; raises BundleError if one is a symbolic link."""
    paths = {path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    links = sorted(str(path.relative_to(folder)) for path in paths if path.is_symlink())
    if links:
        message = (
            f"The bundle {folder} holds symbolic links: {', '.join(links)}. A bundle's files lie "
            f"in its folder. Replace each link by a copy."
        )
        raise BundleError(message)
    return {path.relative_to(folder).as_posix() for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
