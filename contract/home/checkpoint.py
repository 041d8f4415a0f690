"""How far a query has got, as the checkpoint that Spark keeps on this machine tells."""

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

# What Spark notes of a micro-batch has some hundred bytes, and some ten more for each partition.
_LARGEST_FILE = 1 << 24

# Hadoop's checksum files: a word, the size of a block in four bytes, then a CRC-32 for each block.
_CHECKSUM_HEADER = b"crc\0"

# A query that runs writes files while they are listed.
_LISTINGS = 5

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_PARTITIONS, _OFFSETS = 1 << 31, 1 << 63


class CheckpointDamaged(StateError):
    """A file of a checkpoint is missing, or does not hold what was written there."""

    def __init__(self, file: Path, fact: str, remedy: str) -> None:
        super().__init__(
            f"The checkpoint's file {file} cannot be used: {fact}. A query goes on only where it "
            f"certainly stopped. {remedy}"
        )
        self.file, self.fact = file, fact


@dataclass(frozen=True)
class Checkpoint:
    """The offsets of a query, by topic and partition; empty where there are none yet."""

    begun: TopicPositions = field(default_factory=dict)
    """Where the query began. A partition that was added later is read from 0 on."""
    planned: TopicPositions = field(default_factory=dict)
    """The end of the last micro-batch that was planned, whether or not it is done."""
    committed: TopicPositions = field(default_factory=dict)
    """Up to which the query is done."""

    @classmethod
    def read(cls, folder: Path) -> Checkpoint:
        """The checkpoint in a folder; empty where there is none. A query may be writing to it.

        Checked is all that Spark reads when it starts again: each file against its checksum, the
        micro-batches against the commits, and the last one against the one before it. Raises
        CheckpointDamaged with the file and the remedy.
        """
        _check_metadata(folder)
        begun = _begun(folder)
        last, done = _latest(folder)
        if last is None:
            return cls(begun)
        planned = _planned(folder, last)
        before = _planned(folder, last - 1) if last else begun
        _check_grows(folder, last, before, planned)
        if done is None:
            return cls(begun, planned)
        commit = _file(folder, "commits", done)
        _json_of(commit, _lines(commit, _redo(folder, done))[1:], _redo(folder, done))
        return cls(begun, planned, planned if done == last else before)


def lock_of(folder: Path) -> Path:
    """The file that whoever writes to a checkpoint's folder holds locked, beside that."""
    return folder.with_name(f"{folder.name}.lock")


def _check_metadata(folder: Path) -> None:
    file, remedy = folder / "metadata", _anew(folder)
    if file.exists():
        _json_of(file, _lines(file, remedy), remedy)


def _begun(folder: Path) -> TopicPositions:
    """The offsets with which each source of the query began."""
    begun: dict[str, Positions] = {}
    remedy = _anew(folder)
    for file in sorted(folder.glob("sources/*/0")):
        # A zero byte, a version, a line of JSON.
        begun |= _positions(file, _json_of(file, _lines(file, remedy)[1:], remedy), remedy)
    return begun


def _planned(folder: Path, batch: int) -> TopicPositions:
    """The offsets at which a micro-batch ends, of all its sources."""
    file, remedy = _file(folder, "offsets", batch), _redo(folder, batch)
    # A version, the micro-batch's metadata, then a line of JSON for each source.
    lines = _lines(file, remedy)
    if len(lines) < 3:
        raise CheckpointDamaged(file, "it ends too early", remedy)
    planned: dict[str, Positions] = {}
    for line in lines[2:]:
        planned |= _positions(file, _json_of(file, [line], remedy), remedy)
    return planned


def _latest(folder: Path) -> tuple[int | None, int | None]:
    """The last micro-batch that was planned and the last one that is done, if there are any."""
    for _ in range(_LISTINGS):
        done = max(_numbers(folder / "commits"), default=None)
        last = max(_numbers(folder / "offsets"), default=None)
        following = 0 if done is None else done + 1
        if (last is None and done is None) or last in (done, following):
            return last, done
    if last is None or (done is not None and last < done):
        file, missing = _file(folder, "offsets", done or 0), 0 if last is None else last + 1
        fact = "it is missing, but its micro-batch was committed"
        raise CheckpointDamaged(file, fact, _redo(folder, missing))
    # Spark would go on with the last of them, and never answer those before it.
    file = _file(folder, "commits", following)
    surplus = f"Remove the files above {following} in {folder / 'offsets'}: {_SAME_IDS}"
    raise CheckpointDamaged(file, f"it is missing, but micro-batch {last} was planned", surplus)


def _numbers(folder: Path) -> list[int]:
    return [int(file.name) for file in folder.glob("*") if _NUMBER.fullmatch(file.name)]


def _check_grows(folder: Path, batch: int, before: TopicPositions, planned: TopicPositions) -> None:
    """Raise CheckpointDamaged if a micro-batch ends before the one before it."""
    for topic, partitions in before.items():
        for partition, offset in partitions.items():
            end = planned.get(topic, {}).get(partition, offset)
            if end < offset:
                fact = f"{topic}/{partition} stands at {end}, and stood at {offset} before"
                raise CheckpointDamaged(_file(folder, "offsets", batch), fact, _redo(folder, batch))


def _lines(file: Path, remedy: str) -> list[str]:
    """The lines of a file of UTF-8; raises CheckpointDamaged if its checksum is another one."""
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
    """Whether these are the checksums of the content; a file of no bytes says nothing."""
    if not checksums:
        return True
    block = int.from_bytes(checksums[4:8], "big")
    if checksums[:4] != _CHECKSUM_HEADER or not block:
        return False
    blocks = (content[at : at + block] for at in range(0, len(content), block))
    return checksums[8:] == b"".join(zlib.crc32(part).to_bytes(4, "big") for part in blocks)


def _json_of(file: Path, lines: list[str], remedy: str) -> dict[str, Any]:
    """The one JSON object in these lines; raises CheckpointDamaged."""
    try:
        value = json.loads("".join(lines))
    except (ValueError, RecursionError) as exc:
        raise CheckpointDamaged(file, "it is not JSON", remedy) from exc
    if not isinstance(value, dict):
        raise CheckpointDamaged(file, "it holds no JSON object", remedy)
    return value


def _positions(file: Path, source: dict[str, Any], remedy: str) -> TopicPositions:
    """Offsets by topic and partition; raises CheckpointDamaged if a source holds others."""
    positions: dict[str, Positions] = {}
    for topic, partitions in source.items():
        if not isinstance(partitions, dict) or not all(
            _NUMBER.fullmatch(partition)
            and int(partition) < _PARTITIONS
            and type(offset) is int
            and 0 <= offset < _OFFSETS
            for partition, offset in partitions.items()
        ):
            raise CheckpointDamaged(file, "it does not hold an offset for each partition", remedy)
        positions[topic] = {int(partition): offset for partition, offset in partitions.items()}
    return positions


_SAME_IDS = "readings that were answered since then are answered again, under the same ids."


def _file(folder: Path, kind: str, batch: int) -> Path:
    return folder / kind / str(batch)


def _redo(folder: Path, batch: int) -> str:
    """How to go on without a micro-batch's files."""
    if batch == 0:
        return _anew(folder)
    names = f"offsets/{batch}, commits/{batch} and their .crc files"
    return f"Remove {names} and any higher numbers from {folder}: {_SAME_IDS}"


def _anew(folder: Path) -> str:
    """How to go on without a checkpoint."""
    return f"Restore it, or move {folder} away and start anew: {_SAME_IDS}"
