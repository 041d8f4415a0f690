"""What the programs agree on: events on the wire, scaling, model bundle, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.kafka.score_stream import ScoreStream

__all__ = ["ScoreStream"]


def __getattr__(name: str) -> Any:
    """Load what needs a Kafka client when it is asked for: Spark's workers have none to load."""
    if name == "ScoreStream":
        from contract.kafka.score_stream import ScoreStream  # noqa: PLC0415

        return ScoreStream
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
