"""Labelled images: the sample that comes with us, an IDX folder, a folder of PNGs."""

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
"""Of `SAMPLE`: MNIST digits, 8,000 to train, 2,000 to test."""

PNG_BYTES = 1 << 26
"""Of a PNG at most."""

PIXELS = 1 << 24
"""In a PNG at most: a small file can claim very many."""

Split = Literal["train", "test"]

PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
"""Split -> how MNIST's files call it."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, H, W, C) and their labels int64 (N,), in an order that means nothing."""

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
        """A digest of the images' shape, the images and the labels."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(self.images.tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def read(source: str | Path, split: Split) -> Dataset:
    """The data set under a name or in a folder: "sample", IDX files, or PNGs in a folder a label.

    Raises DataError that names the file and what is wrong with it.
    """
    if source == SAMPLE:
        return sample(split)
    folder = Path(source)
    if not folder.is_dir():
        message = (
            f"There is no folder {folder}. Data comes from {SAMPLE!r}, or from a folder with IDX "
            f"files or with a folder of PNGs for each label. Check --data."
        )
        raise DataError(message)
    is_idx = any(folder.glob("*-ubyte*"))
    return idx_folder(folder, split) if is_idx else png_folder(folder, split)


def sample(split: Split) -> Dataset:
    """The digits that come with us, (28, 28, 1): always the same ones in the same order."""
    return idx_folder(SAMPLE_FOLDER, split, name=SAMPLE)


def idx_folder(folder: Path, split: Split, name: str | None = None) -> Dataset:
    """MNIST's files, `train-images-idx3-ubyte` and so on, gzipped or not."""
    images_file = _find(folder, f"{PREFIXES[split]}-images-idx3-ubyte")
    labels_file = _find(folder, f"{PREFIXES[split]}-labels-idx1-ubyte")
    images = idx.read(images_file, dimensions=3)
    labels = idx.read(labels_file, dimensions=1)
    if len(images) != len(labels):
        message = (
            f"{images_file} holds {quantity(len(images), 'image')} and {labels_file} "
            f"{quantity(len(labels), 'label')}. "
            f"Each image needs its label. Take both files from one source."
        )
        raise DataError(message)
    return Dataset(images[..., np.newaxis], labels.astype(np.int64), name or str(folder))


def png_folder(folder: Path, split: Split) -> Dataset:
    """PNGs of one size in folders named by their label, `7/any.png`; below `train/` or `test/` if
    the folder has these, else the same ones for both splits.
    """
    root = folder / split if (folder / split).is_dir() else folder
    files = sorted(root.glob("*/*.png"))
    if not files:
        message = (
            f"{root} holds neither IDX files nor PNGs. Data is IDX files, or a folder of PNGs for "
            f"each label (7/any.png). Name such a folder with --data, or use {SAMPLE!r}."
        )
        raise DataError(message)
    labels = np.array([_label(file) for file in files], np.int64)
    images = [_pixels(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            message = (
                f"{file} is {image.shape}, but {files[0]} is {images[0].shape} (height, width, "
                f"channels). All images of a data set have one shape. Resize or remove it."
            )
            raise DataError(message)
    return Dataset(np.stack(images), labels, str(folder))


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.exists():
            return file
    message = (
        f"{folder} has no {name}, nor {name}.gz. An IDX folder holds four files, images and labels "
        f"for train and t10k. Put the missing one there."
    )
    raise DataError(message)


def _label(file: Path) -> int:
    name = file.parent.name
    if not (name.isascii() and name.isdigit()):
        message = (
            f"{file} lies in a folder named {name!r}. The folder names the label, a whole number. "
            f"Rename the folder."
        )
        raise DataError(message)
    return int(name)


def _pixels(file: Path) -> NDArray[np.uint8]:
    try:
        payload = files.read(file, PNG_BYTES)
        about = png.header(payload)
        if about.width * about.height > PIXELS:
            size = f"{about.width} x {about.height}"
            fault = f"it has {size} pixels, more than {PIXELS:,}"
        elif about.bits == 8 and about.colour != png.PALETTE:
            pixels = png.pixels(payload, about)
            return pixels.reshape(about.height, about.width, about.channels)
        else:
            of_palette = about.colour == png.PALETTE
            fault = (
                "it has a palette"
                if of_palette
                else f"it has {quantity(about.bits, 'bit')} a value"
            )
    except (BadReading, OSError) as exc:
        fault = getattr(exc, "strerror", None) or str(exc)
    message = (
        f"{file} cannot be used: {fault}. A PNG must be whole, gray or RGB, with 8 bits a channel. "
        f"Save it again as such, or remove it."
    )
    raise DataError(message)
