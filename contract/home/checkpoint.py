"""Reads the offsets of a query from Spark's checkpoint on this machine."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract import files
from contract.errors import StateError

Positions = dict[int, int]
"""Partition -> offset."""

TopicPositions = Mapping[str, Positions]
"""Topic -> partition -> offset."""

# A file of a micro-batch has a few hundred bytes, plus about ten per partition.
_LARGEST_FILE = 1 << 24

# Hadoop's checksum files: a magic word, the block size in four bytes, then a CRC-32 per block.
_CHECKSUM_HEADER = b"crc\0"

# A running query writes files while they are listed.
_LISTINGS = 5

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_PARTITIONS, _OFFSETS = 1 << 31, 1 << 63


class CheckpointDamaged(StateError):
    """A file of a checkpoint is missing or damaged."""

    def __init__(self, file: Path, fact: str, remedy: str) -> None:
        super().__init__(
            f"The checkpoint's file {file} cannot be used: {fact}. A query only continues from a "
            f"position that is certain. {remedy}"
        )
        self.file, self.fact = file, fact


@dataclass(frozen=True)
class Checkpoint:
    """The offsets of a query by topic and partition; empty if there are none yet."""

    begun: TopicPositions = field(default_factory=dict)
    """The starting offsets. A partition that was added later is read from 0."""
    planned: TopicPositions = field(default_factory=dict)
    """The end of the last micro-batch that was planned, whether or not it was committed."""
    committed: TopicPositions = field(default_factory=dict)
    """The end of the last micro-batch that was committed."""

    @classmethod
    def read(cls, folder: Path) -> Checkpoint:
        """Read the checkpoint in a folder; empty if there is none. A query may be writing to it.

        Checks all that Spark reads at a restart: each file against its checksum, the micro-batches
        against the commits, and the last micro-batch against the previous one. Raises
        CheckpointDamaged with the file and the remedy.
        """
        _check_metadata(folder)
        begun = _begun(folder)
        last, committed = _latest(folder)
        if last is None:
            return cls(begun)
        planned = _planned(folder, last)
        previous = _planned(folder, last - 1) if last else begun
        _check_increases(folder, last, previous, planned)
        if committed is None:
            return cls(begun, planned)
        commit = _file(folder, "commits", committed)
        remedy = _redo_remedy(folder, committed)
        _json_of(commit, _lines(commit, remedy)[1:], remedy)
        return cls(begun, planned, planned if committed == last else previous)


def lock_of(folder: Path) -> Path:
    """The lock file next to a checkpoint's folder, locked by the process that writes to it."""
    return folder.with_name(f"{folder.name}.lock")


def _check_metadata(folder: Path) -> None:
    file, remedy = folder / "metadata", _restart_remedy(folder)
    if file.exists():
        _json_of(file, _lines(file, remedy), remedy)


def _begun(folder: Path) -> TopicPositions:
    """The starting offsets of all sources of the query."""
    begun: dict[str, Positions] = {}
    remedy = _restart_remedy(folder)
    for file in sorted(folder.glob("sources/*/0")):
        # A zero byte, a version, a line of JSON.
        begun |= _positions(file, _json_of(file, _lines(file, remedy)[1:], remedy), remedy)
    return begun


def _planned(folder: Path, batch: int) -> TopicPositions:
    """The end offsets of a micro-batch, of all its sources."""
    file, remedy = _file(folder, "offsets", batch), _redo_remedy(folder, batch)
    # A version, the micro-batch's metadata, then a line of JSON for each source.
    lines = _lines(file, remedy)
    if len(lines) < 3:
        raise CheckpointDamaged(file, "it ends too early", remedy)
    planned: dict[str, Positions] = {}
    for line in lines[2:]:
        planned |= _positions(file, _json_of(file, [line], remedy), remedy)
    return planned


def _latest(folder: Path) -> tuple[int | None, int | None]:
    """The numbers of the last micro-batch planned and the last one committed, if there are any."""
    for _ in range(_LISTINGS):
        committed = max(_numbers(folder / "commits"), default=None)
        last = max(_numbers(folder / "offsets"), default=None)
        following = 0 if committed is None else committed + 1
        if (last is None and committed is None) or last in (committed, following):
            return last, committed
    if last is None or (committed is not None and last < committed):
        file, missing = _file(folder, "offsets", committed or 0), 0 if last is None else last + 1
        fact = "it is missing, but its micro-batch was committed"
        raise CheckpointDamaged(file, fact, _redo_remedy(folder, missing))
    # Spark would continue with the last one, and never process those before it.
    file = _file(folder, "commits", following)
    surplus = f"Remove the files above {following} in {folder / 'offsets'}: {_SAME_IDS}"
    raise CheckpointDamaged(file, f"it is missing, but micro-batch {last} was planned", surplus)


def _numbers(folder: Path) -> list[int]:
    return [int(file.name) for file in folder.glob("*") if _NUMBER.fullmatch(file.name)]


def _check_increases(
    folder: Path, batch: int, previous: TopicPositions, planned: TopicPositions
) -> None:
    """Raise CheckpointDamaged if a micro-batch ends before the previous one."""
    for topic, partitions in previous.items():
        for partition, offset in partitions.items():
            end = planned.get(topic, {}).get(partition, offset)
            if end < offset:
                fact = f"{topic}/{partition} is at {end}, but was at {offset} before"
                file = _file(folder, "offsets", batch)
                raise CheckpointDamaged(file, fact, _redo_remedy(folder, batch))


def _lines(file: Path, remedy: str) -> list[str]:
    """The lines of a UTF-8 file; raises CheckpointDamaged, also if its checksum is wrong."""
    try:
        content = files.read(file, _LARGEST_FILE)
        checksums = file.with_name(f".{file.name}.crc")
        if checksums.exists() and not _has_checksums(
            content, files.read(checksums, len(content) + 512)
        ):
            raise CheckpointDamaged(
                file, f"its checksum is not the one in {checksums.name}", remedy
            )
        lines = content.decode("utf-8").splitlines()
    except FileNotFoundError as exc:
        raise CheckpointDamaged(file, "it is missing", remedy) from exc
    except OSError as exc:
        raise CheckpointDamaged(file, exc.strerror or str(exc), remedy) from exc
    except UnicodeDecodeError as exc:
        raise CheckpointDamaged(file, "it is not UTF-8", remedy) from exc
    if not lines:
        raise CheckpointDamaged(file, "it is empty", remedy)
    return lines


def _has_checksums(content: bytes, checksums: bytes) -> bool:
    """Whether the checksums match the content; an empty checksum file matches anything."""
    if not checksums:
        return True
    block = int.from_bytes(checksums[4:8], "big")
    if checksums[:4] != _CHECKSUM_HEADER or not block:
        return False
    blocks = (content[at : at + block] for at in range(0, len(content), block))
    return checksums[8:] == b"".join(zlib.crc32(part).to_bytes(4, "big") for part in blocks)


def _json_of(file: Path, lines: list[str], remedy: str) -> dict[str, Any]:
    """The JSON object in these lines; raises CheckpointDamaged."""
    try:
        value = json.loads("".join(lines))
    except (ValueError, RecursionError) as exc:
        raise CheckpointDamaged(file, "it is not JSON", remedy) from exc
    if not isinstance(value, dict):
        raise CheckpointDamaged(file, "it is not a JSON object", remedy)
    return value


def _positions(file: Path, source: dict[str, Any], remedy: str) -> TopicPositions:
    """The offsets of a source by topic and partition; raises CheckpointDamaged."""
    positions: dict[str, Positions] = {}
    for topic, partitions in source.items():
        if not isinstance(partitions, dict) or not all(
            _NUMBER.fullmatch(partition)
            and int(partition) < _PARTITIONS
            and type(offset) is int
            and 0 <= offset < _OFFSETS
            for partition, offset in partitions.items()
        ):
            raise CheckpointDamaged(file, "it does not have an offset for each partition", remedy)
        positions[topic] = {int(partition): offset for partition, offset in partitions.items()}
    return positions


_SAME_IDS = "readings that were answered since then are answered again, with the same ids."


def _file(folder: Path, kind: str, batch: int) -> Path:
    return folder / kind / str(batch)


def _redo_remedy(folder: Path, batch: int) -> str:
    """The remedy if a micro-batch's files are damaged."""
    if batch == 0:
        return _restart_remedy(folder)
    names = f"offsets/{batch}, commits/{batch} and their .crc files"
    return f"Remove {names} and any higher numbers from {folder}: {_SAME_IDS}"


def _restart_remedy(folder: Path) -> str:
    """The remedy if the whole checkpoint is unusable."""
    return f"Restore it, or move {folder} away and start again: {_SAME_IDS}"
