"""What a checkpoint says, and that a damaged one is told by file and remedy and never believed."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.home.checkpoint import Checkpoint, CheckpointDamaged

TOPIC = "digits.readings"
BATCH = 'v1\n{{"batchWatermarkMs":0,"conf":{{}}}}\n{{"digits.readings":{{"0":{},"1":7}}}}'
COMMIT = 'v1\n{"nextBatchWatermarkMs":0}'


def write(file: Path, text: str) -> None:
    """A file with its checksum, as Hadoop writes both."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode()
    file.write_bytes(content)
    sums = (zlib.crc32(content[at : at + 512]) for at in range(0, len(content), 512))
    header = b"crc\0" + (512).to_bytes(4, "big")
    checksums = header + b"".join(each.to_bytes(4, "big") for each in sums)
    file.with_name(f".{file.name}.crc").write_bytes(checksums)


def checkpoint(folder: Path, planned: int = 3, committed: int = 3) -> Path:
    """Micro-batches 0, 1, ... that end at 100, 200, ..., so many planned and so many committed."""
    write(folder / "metadata", '{"id":"25442f36-5dc9-4986-b5af-90356dc12e26"}')
    write(folder / "sources" / "0" / "0", '\0v1\n{"digits.readings":{"1":3,"0":20}}')
    for batch in range(planned):
        write(folder / "offsets" / str(batch), BATCH.format(100 * batch + 100))
    for batch in range(committed):
        write(folder / "commits" / str(batch), COMMIT)
    return folder


def test_a_query_stands_after_its_last_committed_batch(tmp_path: Path) -> None:
    stands = Checkpoint.read(checkpoint(tmp_path, planned=12, committed=11))
    assert stands.begun == {TOPIC: {0: 20, 1: 3}}
    assert stands.committed == {TOPIC: {0: 1100, 1: 7}}
    assert stands.planned == {TOPIC: {0: 1200, 1: 7}}


def test_a_query_that_has_not_begun_stands_nowhere(tmp_path: Path) -> None:
    assert Checkpoint.read(tmp_path / "none") == Checkpoint()
    first = Checkpoint.read(checkpoint(tmp_path, planned=1, committed=0))
    assert (first.committed, first.planned) == ({}, {TOPIC: {0: 100, 1: 7}})


def test_files_without_checksums_are_read_as_they_are(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "offsets" / ".2.crc").unlink()
    (tmp_path / "commits" / ".2.crc").write_bytes(b"")
    assert Checkpoint.read(tmp_path).committed == {TOPIC: {0: 300, 1: 7}}


@pytest.mark.parametrize("file", ["metadata", "sources/0/0", "offsets/2", "offsets/1", "commits/2"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"v1", b"v1\n{}\n[1]", b"v1\n{}\n{" * 9])
def test_a_file_that_holds_something_else_is_named_with_the_remedy(
    tmp_path: Path, file: str, content: bytes
) -> None:
    checkpoint(tmp_path)
    (tmp_path / file).write_bytes(content)
    remedy = r"(Remove|Restore).*answered again, with the same ids\.$"
    for with_checksum in (True, False):
        if not with_checksum:
            (tmp_path / file).with_name(f".{Path(file).name}.crc").unlink()
        with pytest.raises(
            CheckpointDamaged, match=rf"{tmp_path / file} cannot be used: .*{remedy}"
        ):
            Checkpoint.read(tmp_path)


@settings(max_examples=50)
@given(st.data())
def test_a_flipped_bit_is_always_seen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = checkpoint(tmp_path_factory.mktemp("checkpoint"))
    file = folder / data.draw(
        st.sampled_from(["metadata", "sources/0/0", "offsets/2", "commits/2"])
    )
    content = bytearray(file.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    with pytest.raises(CheckpointDamaged, match=re.escape(str(file))):
        Checkpoint.read(folder)


def test_a_changed_digit_that_goes_back_is_seen_without_a_checksum(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "offsets" / "2").write_text(BATCH.format(30))
    (tmp_path / "offsets" / ".2.crc").unlink()
    with pytest.raises(CheckpointDamaged, match=r"/0 is at 30, but was at 200 before"):
        Checkpoint.read(tmp_path)


@pytest.mark.parametrize("offset", ["-1", "1.5", '"300"', "true", str(1 << 63), "null"])
def test_an_offset_that_kafka_never_has_is_refused(tmp_path: Path, offset: str) -> None:
    write(checkpoint(tmp_path) / "offsets" / "2", BATCH.format(offset))
    with pytest.raises(CheckpointDamaged, match=r"does not have an offset for each partition"):
        Checkpoint.read(tmp_path)


def test_offsets_and_commits_are_held_against_each_other(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "offsets" / "2").unlink()
    with pytest.raises(
        CheckpointDamaged, match=r"offsets/2 .*missing, but its micro-batch was committed"
    ):
        Checkpoint.read(tmp_path)
    (tmp_path / "commits" / "2").unlink()
    assert Checkpoint.read(tmp_path).committed == {TOPIC: {0: 200, 1: 7}}
    (tmp_path / "commits" / "1").unlink()
    (tmp_path / "commits" / "0").unlink()
    # Spark would begin with micro-batch 1, and never answer those of 0.
    with pytest.raises(CheckpointDamaged, match=r"commits/0 .*missing, but micro-batch 1 was pl"):
        Checkpoint.read(tmp_path)


def test_the_remedy_that_is_told_mends_it(tmp_path: Path) -> None:
    write(checkpoint(tmp_path) / "offsets" / "2", "noise")
    with pytest.raises(CheckpointDamaged, match=r"Remove offsets/2, commits/2 and their \.crc"):
        Checkpoint.read(tmp_path)
    for kind in ("offsets", "commits"):
        for name in ("2", ".2.crc"):
            (tmp_path / kind / name).unlink()
    assert Checkpoint.read(tmp_path).committed == {TOPIC: {0: 200, 1: 7}}


def test_what_is_no_file_does_not_block(tmp_path: Path) -> None:
    file = checkpoint(tmp_path) / "commits" / "2"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CheckpointDamaged, match=r"commits/2 .*it is a named pipe"):
        Checkpoint.read(tmp_path)
