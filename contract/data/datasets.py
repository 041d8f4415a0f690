"""Labelled images: the included sample, a folder of IDX files, a folder of PNGs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract import files
from contract.choices import SAMPLE
from contract.data import idx
from contract.errors import DataError
from contract.quantities import quantity
from contract.wire import png
from contract.wire.images import Shape
from contract.wire.reasons import BadReading

SAMPLE_FOLDER = Path(__file__).parent.with_name("sample")
"""The folder of SAMPLE: MNIST digits, 8,000 to train, 2,000 to test."""

PNG_BYTES = 1 << 26
"""Largest PNG file."""

PIXELS = 1 << 24
"""Maximum number of pixels in a PNG; a small file can claim very many."""

Split = Literal["train", "test"]

PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
"""Split -> its name in MNIST's files."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, H, W, C) and their labels int64 (N,), in no particular order."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    name: str

    @property
    def shape(self) -> Shape:
        """(H, W, C) of one image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the images' shape, the images and the labels."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(self.images.tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def read(source: str | Path, split: Split) -> Dataset:
    """Read a data set: "sample", a folder of IDX files, or a folder with PNGs in a folder per
    label.

    Raises DataError with the file and what is wrong with it.
    """
    if source == SAMPLE:
        return sample(split)
    folder = Path(source)
    if not folder.is_dir():
        message = (
            f"There is no folder {folder}. Data is {SAMPLE!r}, or a folder with IDX files or with "
            f"one subfolder of PNGs per label. Check --data."
        )
        raise DataError(message)
    is_idx = any(folder.glob("*-ubyte*"))
    return idx_folder(folder, split) if is_idx else png_folder(folder, split)


def sample(split: Split) -> Dataset:
    """The included digits, (28, 28, 1), always in the same order."""
    return idx_folder(SAMPLE_FOLDER, split, name=SAMPLE)


def idx_folder(folder: Path, split: Split, name: str | None = None) -> Dataset:
    """Read MNIST's files, `train-images-idx3-ubyte` and so on, gzipped or not."""
    images_file = _find(folder, f"{PREFIXES[split]}-images-idx3-ubyte")
    labels_file = _find(folder, f"{PREFIXES[split]}-labels-idx1-ubyte")
    images = idx.read(images_file, dimensions=3)
    labels = idx.read(labels_file, dimensions=1)
    if len(images) != len(labels):
        message = (
            f"{images_file} holds {quantity(len(images), 'image')} and {labels_file} "
            f"{quantity(len(labels), 'label')}. "
            f"Each image needs a label. Take both files from the same source."
        )
        raise DataError(message)
    return Dataset(images[..., np.newaxis], labels.astype(np.int64), name or str(folder))


def png_folder(folder: Path, split: Split) -> Dataset:
    """Read PNGs of one size in folders named after their label, like `7/any.png`; from `train/` or
    `test/` if the folder has these, else the same images for both splits.
    """
    root = folder / split if (folder / split).is_dir() else folder
    files = sorted(root.glob("*/*.png"))
    if not files:
        message = (
            f"{root} contains neither IDX files nor PNGs. Data is IDX files, or one subfolder of "
            f"PNGs per label (7/any.png). Set --data to such a folder, or use {SAMPLE!r}."
        )
        raise DataError(message)
    labels = np.array([_label(file) for file in files], np.int64)
    images = [_pixels(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            message = (
                f"{file} is {image.shape}, but {files[0]} is {images[0].shape} (height, width, "
                f"channels). All images of a data set must have the same shape. Resize or remove "
                f"it."
            )
            raise DataError(message)
    return Dataset(np.stack(images), labels, str(folder))


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.exists():
            return file
    message = (
        f"{folder} has no {name}, nor {name}.gz. A folder of IDX files has four, images and labels "
        f"for train and t10k. Add the missing one."
    )
    raise DataError(message)


def _label(file: Path) -> int:
    name = file.parent.name
    if not (name.isascii() and name.isdigit()):
        message = (
            f"{file} is in a folder named {name!r}. The folder's name must be the label, a whole "
            f"number. Rename the folder."
        )
        raise DataError(message)
    return int(name)


def _pixels(file: Path) -> NDArray[np.uint8]:
    try:
        payload = files.read(file, PNG_BYTES)
        header = png.header(payload)
        if header.width * header.height > PIXELS:
            size = f"{header.width} x {header.height}"
            fault = f"it has {size} pixels, more than {PIXELS:,}"
        elif header.bits == 8 and header.colour != png.PALETTE:
            pixels = png.pixels(payload, header)
            return pixels.reshape(header.height, header.width, header.channels)
        else:
            has_palette = header.colour == png.PALETTE
            fault = (
                "it has a palette"
                if has_palette
                else f"it has {quantity(header.bits, 'bit')} per value"
            )
    except (BadReading, OSError) as exc:
        fault = getattr(exc, "strerror", None) or str(exc)
    message = (
        f"{file} cannot be used: {fault}. A PNG must be complete, grey or RGB, with 8 bits per "
        f"channel. Save it again as such, or remove it."
    )
    raise DataError(message)
