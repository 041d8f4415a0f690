"""What all programs share: events on the wire, Kafka clients, model bundles, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.kafka.score_stream import ScoreStream

__all__ = ["ScoreStream"]


def __getattr__(name: str) -> Any:
    """Import ScoreStream on first use: it needs a Kafka client, which Spark's workers lack."""
    if name == "ScoreStream":
        from contract.kafka.score_stream import ScoreStream  # noqa: PLC0415

        return ScoreStream
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
