"""Records that kafka-python cannot decode, and why, in one sentence."""

from __future__ import annotations

from kafka import codec, errors

from contract.errors import BadEvent, CodecMissing, DigitstreamError

PACKAGES = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}
"""Kafka's compressions that Python cannot undo by itself -> the package that does."""

UNDECODED = (errors.CorruptRecordError, errors.UnsupportedCodecError)
"""What a consumer raises for a record that it cannot decode."""


def missing() -> list[str]:
    """The compressions that this Python cannot undo."""
    is_there = {"snappy": codec.has_snappy, "lz4": codec.has_lz4, "zstd": codec.has_zstd}
    return [name for name in PACKAGES if not is_there[name]()]


def undecoded(topic: str, exc: errors.KafkaError) -> DigitstreamError:
    """The error for a record of the topic with which a consumer raised one of UNDECODED."""
    if isinstance(exc, errors.UnsupportedCodecError):
        lacking = missing()
        packages = " ".join(PACKAGES[name] for name in lacking)
        return CodecMissing(
            f"Records of {topic} are compressed, and this Python cannot undo "
            f"{' or '.join(lacking)} ({exc}). All of Kafka's compressions must be readable. "
            f"Install what is missing with `pip install {packages}`, or everything as locked with "
            f"`make setup`."
        )
    return BadEvent(
        f"Records of {topic} are damaged ({exc}). Kafka keeps a checksum of each batch, and this "
        f"one is not what was sent. See to the disks of its brokers."
    )
