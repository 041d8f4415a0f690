"""Records on our topics that somebody else wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from contract.quantities import quantity

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

    def sentences(self, kind: str) -> list[str]:
        """What a person should know of them, if there are some; `kind` is what they are not."""
        if not self.count:
            return []
        places = ", ".join([*self.places, *(["..."] if self.count > len(self.places) else [])])
        records, verb = quantity(self.count, "record"), "is" if self.count == 1 else "are"
        return [
            f"{records} among the {kind} {verb} none ({places}). Only digitstream may write there. "
            f"Find who else does."
        ]
