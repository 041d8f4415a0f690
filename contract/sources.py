"""Where a record lies in Kafka, and the text that names the place."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

# Kafka's own bounds: a topic's letters, an int32 and an int64; one spelling for each number.
_PLACE = re.compile(r"([a-zA-Z0-9._-]{1,249})/(0|[1-9]\d{0,9})/(0|[1-9]\d{0,18})", re.ASCII)
_BOUNDS = (1 << 31, 1 << 63)


class Source(NamedTuple):
    """Where a reading lies in Kafka."""

    topic: str
    partition: int
    offset: int

    @property
    def id(self) -> str:
        """The deterministic ce_id of the answer to the reading: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def of(cls, id: str) -> Self:
        """The place that an id names; raises ValueError for any text that `id` never gives."""
        match = _PLACE.fullmatch(id)
        if match is None or any(
            int(number) >= bound for number, bound in zip(match.groups()[1:], _BOUNDS, strict=True)
        ):
            message = f"{id[:40]!r} is not topic/partition/offset"
            raise ValueError(message)
        return cls(match[1], int(match[2]), int(match[3]))
