"""Devices see the data with a little noise, and say so once, with their own clock and id."""

from __future__ import annotations

import numpy as np
import pytest

from contract.choices import Payload
from contract.data.datasets import Dataset
from contract.wire import headers, images
from contract.wire.events import Reading
from contract.wire.values.times import moment
from producers.devices import NOISE, Block, Device, blocks
from producers.faults import DUPLICATE, GOOD, Faults
from producers.records import CONTENT_TYPES, Record, Records

SHAPE = (8, 6, 2)
IMAGES = np.random.default_rng(2).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
DATA = Dataset(IMAGES, np.arange(20, dtype=np.int64), "test")
CLOCK = 1_770_000_000_999_999_000

SKEW = 0.002


def drawn(count: int, faults: str = "", seed: int = 1, size: int = 7) -> list[Block]:
    rng = np.random.default_rng(seed)
    return list(blocks(DATA, 5, Faults.parse(faults), count, size, rng))


def made(
    count: int = 50, faults: str = "", payload: Payload = "raw", seed: int = 1
) -> list[Record]:
    rng = np.random.default_rng(seed)
    devices = [Device.of(index, seed, CONTENT_TYPES[payload], SKEW) for index in range(5)]
    makes = Records("run", devices, 3, payload, lambda: CLOCK, rng)
    found = blocks(DATA, 5, Faults.parse(faults), count, 7, rng)
    return [record for block in found for record in makes.of(block)]


def test_the_same_seed_draws_the_same_readings() -> None:
    assert made(faults="50%") == made(faults="50%")
    assert made() != made(seed=2)


def test_blocks_cover_the_count_without_a_gap() -> None:
    found = drawn(50)
    assert [len(block.labels) for block in found] == [7] * 7 + [1]
    assert [block.first for block in found] == list(range(0, 50, 7))


def test_a_device_sees_an_image_of_the_data_with_its_label_and_little_noise() -> None:
    for block in drawn(50):
        off = block.pixels.astype(int) - IMAGES[block.labels]
        assert np.abs(off).max() <= NOISE
        assert off.any()


def test_the_noise_is_centred() -> None:
    rng = np.random.default_rng(1)
    gray = Dataset(np.full((1, *SHAPE), 128, np.uint8), np.zeros(1, np.int64), "gray")
    [block] = blocks(gray, 1, Faults.parse(""), 1000, 1000, rng)
    assert block.pixels.mean() == pytest.approx(128, abs=0.05)


@pytest.mark.parametrize("payload", ["raw", "png", "json"])
def test_a_record_is_a_reading_of_its_device(payload: Payload) -> None:
    ids = set()
    for record, pixels in zip(
        made(payload=payload),
        np.concatenate([block.pixels for block in drawn_as_made()]),
        strict=True,
    ):
        reading = Reading.of(*record.message)
        decoded = images.decode(reading.payload, reading.content_type, SHAPE)
        np.testing.assert_array_equal(decoded, pixels)
        assert reading.source == f"/devices/{reading.device}"
        assert reading.id.encode() == record.id
        ids.add(reading.id)
    assert len(ids) == 50


def drawn_as_made() -> list[Block]:
    """The blocks that `made` makes records of: it draws from the same numbers in between."""
    rng = np.random.default_rng(1)
    found = []
    for block in blocks(DATA, 5, Faults.parse(""), 50, 7, rng):
        rng.integers(1 << 30, size=len(block.kinds))
        found.append(block)
    return found


def test_each_device_has_a_clock_that_is_always_off_by_the_same_little() -> None:
    offsets: dict[bytes | None, set[int]] = {}
    for record in made():
        time = moment(dict(record.message.headers)[headers.TIME].decode())  # type: ignore[union-attr]
        offsets.setdefault(record.message.key, set()).add(
            round(time.timestamp() * 1e6) - CLOCK // 1000
        )
    assert len(offsets) == 5
    assert all(len(of) == 1 and abs(*of) <= SKEW * 1e6 for of in offsets.values())
    assert len(set.union(*offsets.values())) > 1


def test_a_device_does_not_depend_on_how_many_there_are() -> None:
    device = Device.of(3, 1, images.RAW, SKEW)
    assert device == Device.of(3, 1, images.RAW, SKEW)
    assert device.offset_us != Device.of(3, 2, images.RAW, SKEW).offset_us


def test_a_duplicate_is_the_good_record_before_it() -> None:
    records = made(200, "duplicate=40%")
    last = None
    repeated = 0
    for record in records:
        if record.kind == DUPLICATE:
            assert last is not None and record == last._replace(kind=DUPLICATE)
            repeated += 1
        else:
            assert record.kind == GOOD
            last = record
    assert repeated > 50


def test_the_first_of_nothing_but_duplicates_is_good() -> None:
    records = made(9, "duplicate=1")
    assert [record.kind for record in records] == [GOOD] + [DUPLICATE] * 8
