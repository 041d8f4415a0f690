"""The sample, IDX folders and PNG folders; a corrupt one is named with what is wrong."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.data import datasets, idx
from contract.data.datasets import SAMPLE_FOLDER, Dataset
from contract.errors import DataError

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 0, 9], np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "t10k"):
        idx.write(tmp_path / f"{split}-images-idx3-ubyte.gz", IMAGES)
        idx.write(tmp_path / f"{split}-labels-idx1-ubyte.gz", LABELS)
    return tmp_path


def refuses(folder: Path | str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        datasets.read(folder, "train")


def test_the_sample_has_8000_and_2000_digits_that_share_none() -> None:
    train, test = datasets.read("sample", "train"), datasets.read("sample", "test")
    assert (train.images.shape, test.images.shape) == ((8000, 28, 28, 1), (2000, 28, 28, 1))
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64
    assert set(train.labels) == set(test.labels) == set(range(10))
    every = {image.tobytes() for data in (train, test) for image in data.images}
    assert len(every) == 10_000


def test_the_sample_never_changes() -> None:
    digests = [datasets.sample(split).sha256 for split in ("train", "test")]
    assert [digest[:12] for digest in digests] == ["b597838b5b36", "e201bd292a0b"]


def test_an_idx_folder_is_read_gzipped_or_not(folder: Path) -> None:
    packed = datasets.read(folder, "test")
    np.testing.assert_array_equal(packed.images[..., 0], IMAGES)
    assert packed.labels.tolist() == [7, 0, 9]
    assert packed.shape == (4, 5, 1)
    for file in folder.iterdir():
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert datasets.read(folder, "test").sha256 == packed.sha256


def test_the_digest_knows_images_labels_and_shape() -> None:
    images, labels = IMAGES[..., None], LABELS.astype(np.int64)
    other = images.copy()
    other[0, 0, 0, 0] += 1
    variants = [
        Dataset(images, labels, "a"),
        Dataset(other, labels, "a"),
        Dataset(images, labels[::-1], "a"),
        Dataset(images.reshape(3, 5, 4, 1), labels, "a"),
    ]
    assert len({data.sha256 for data in variants}) == 4
    assert Dataset(images, labels, "b").sha256 == variants[0].sha256


HEADER = struct.pack(">4B3I", 0, 0, 8, 3, 3, 4, 5)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "begins with nothing, not 00 00 08 03"),
        (b"\x89PNG", "begins with 89 50 4e 47"),
        (HEADER[:10], "ends within its header"),
        (HEADER + bytes(59), r"announces 60 bytes \(3 x 4 x 5\), but 59 follow"),
        (HEADER + bytes(61), "but more follow"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "it is empty"),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "but 0 follow"),
    ],
)
def test_a_corrupt_idx_file_is_named_with_what_is_wrong(
    folder: Path, content: bytes, match: str
) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    refuses(folder, rf"train-images-idx3-ubyte is corrupt: .*{match}")


@pytest.mark.parametrize("cut", [5, 40, -4])
def test_a_broken_gzip_is_corrupt(folder: Path, cut: int) -> None:
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:cut])
    refuses(folder, r"train-images-idx3-ubyte\.gz is corrupt")


def test_a_gzip_with_a_flipped_byte_is_corrupt(folder: Path) -> None:
    file = SAMPLE_FOLDER / "train-images-idx3-ubyte.gz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file.name).write_bytes(content)
    refuses(folder, "is corrupt")


def test_no_flipped_bit_of_a_gzip_gives_other_values(tmp_path: Path) -> None:
    file = tmp_path / "some-ubyte.gz"
    idx.write(file, IMAGES)
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            np.testing.assert_array_equal(idx.read(file, 3), IMAGES)
        except DataError:
            continue
    file.write_bytes(content + b"more")
    with pytest.raises(DataError):
        idx.read(file, 3)


def test_images_and_labels_must_be_as_many(folder: Path) -> None:
    idx.write(folder / "train-labels-idx1-ubyte.gz", LABELS[:2])
    refuses(folder, "3 images and .* 2 labels")


def test_a_bomb_is_not_unpacked(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(HEADER) + gzip.compress(bytes(1 << 24)) * 400)  # 6.7 GB in 6 MB
    refuses(folder, r"announces 60 bytes \(3 x 4 x 5\), but more follow")


def test_a_pipe_in_the_folder_is_refused_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    (folder / "train-images-idx3-ubyte.gz").unlink()
    os.mkfifo(folder / "train-images-idx3-ubyte.gz")
    refuses(folder, "is corrupt: it is a named pipe, not a regular file")
    pictures = tmp_path / "pictures"
    (pictures / "7").mkdir(parents=True)
    os.mkfifo(pictures / "7" / "a.png")
    refuses(pictures, r"a\.png cannot be used: it is a named pipe, not a regular file")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    refuses(folder, "has no train-labels-idx1-ubyte, nor")


def test_no_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    refuses(tmp_path / "nowhere", "There is no folder .*nowhere")
    refuses("smaple", "There is no folder smaple")
    refuses(tmp_path, "neither IDX files nor PNGs")


def save(file: Path, image: Image.Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def test_pngs_are_labelled_by_their_folder(tmp_path: Path) -> None:
    save(tmp_path / "7" / "a.png", Image.fromarray(IMAGES[0]))
    save(tmp_path / "12" / "b.png", Image.fromarray(IMAGES[1]))
    data = datasets.read(tmp_path, "train")
    assert data.labels.tolist() == [12, 7]
    np.testing.assert_array_equal(data.images[..., 0], IMAGES[[1, 0]])
    assert datasets.read(tmp_path, "test").sha256 == data.sha256


def test_pngs_may_be_split_and_coloured(tmp_path: Path) -> None:
    save(tmp_path / "train" / "1" / "a.png", Image.new("RGB", (5, 4), (1, 2, 3)))
    save(tmp_path / "test" / "2" / "a.png", Image.new("RGB", (5, 4)))
    data = datasets.read(tmp_path, "train")
    assert (data.shape, data.labels.tolist()) == ((4, 5, 3), [1])
    assert data.images[0, 0, 0].tolist() == [1, 2, 3]


def test_pngs_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save(tmp_path / "1" / "a.png", Image.new("L", (5, 4)))
    save(tmp_path / "1" / "b.png", Image.new("L", (4, 5)))
    refuses(tmp_path, r"b\.png is \(5, 4, 1\), but .*a\.png is \(4, 5, 1\)")
    save(tmp_path / "1" / "b.png", Image.new("P", (5, 4)))
    refuses(tmp_path, r"b\.png cannot be used: it has a palette")
    for bits in (1, 16):
        kind = "1" if bits == 1 else "I;16"
        save(tmp_path / "1" / "b.png", Image.new(kind, (5, 4)))
        refuses(tmp_path, rf"b\.png cannot be used: it has {bits} bits? per value")
    save(tmp_path / "1" / "b.png", Image.new("1", (5_000, 4_000)))
    refuses(tmp_path, "it has 5000 x 4000 pixels, more than 16,777,216")
    (tmp_path / "1" / "b.png").write_text("no image")
    refuses(tmp_path, r"b\.png cannot be used")
    (tmp_path / "1" / "b.png").unlink()
    save(tmp_path / "seven" / "a.png", Image.new("L", (5, 4)))
    refuses(tmp_path, "a folder named 'seven'")
