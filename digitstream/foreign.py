"""Records on our topics that somebody else wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_PLACES = 10


@dataclass
class Foreign:
    """Records on topics of ours that are none of ours: how many, and the first ones' places."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, topic: str, partition: int, offset: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.places) < _MOST_PLACES:
            self.places.append(f"{topic}/{partition}/{offset}")

    def told(self, kind: str) -> list[str]:
        """What a person should know of them, if there are some; `kind` is what they are not."""
        if not self.count:
            return []
        places = ", ".join([*self.places, *(["..."] if self.count > len(self.places) else [])])
        return [
            f"No {kind}, though they lie among them: {self.count} ({places}). Only digitstream may "
            f"write there. Find who else does."
        ]
