"""The errors for records that kafka-python cannot decode."""

from __future__ import annotations

from kafka import codec, errors

from contract.errors import BadEvent, CodecMissing, DigitstreamError

PACKAGES = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}
"""Kafka's compressions that need a Python package -> that package."""

DECODING_ERRORS = (errors.CorruptRecordError, errors.UnsupportedCodecError)
"""The errors that a consumer raises for records that it cannot decode."""


def missing_codecs() -> list[str]:
    """The compressions whose Python package is not installed."""
    has_codec = {"snappy": codec.has_snappy, "lz4": codec.has_lz4, "zstd": codec.has_zstd}
    return [name for name in PACKAGES if not has_codec[name]()]


def decoding_error(topic: str, exc: errors.KafkaError) -> DigitstreamError:
    """The error for the topic of whose records a consumer raised one of DECODING_ERRORS."""
    if isinstance(exc, errors.UnsupportedCodecError):
        codecs = missing_codecs()
        packages = " ".join(PACKAGES[name] for name in codecs)
        return CodecMissing(
            f"Records of {topic} are compressed, and this Python cannot decompress "
            f"{' or '.join(codecs)} ({exc}). All of Kafka's compressions must be readable. "
            f"Install what is missing with `pip install {packages}`, or all locked packages with "
            f"`make setup`."
        )
    return BadEvent(
        f"Records of {topic} are damaged ({exc}). Kafka stores a checksum with each batch, and "
        f"this batch does not match its checksum. Check the disks of the brokers."
    )
