"""Records on our topics that another program wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from contract.quantities import quantity

_MOST_PLACES = 10


@dataclass
class Foreign:
    """Records on our topics that are not ours: their count, and the places of the first ones."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, topic: str, partition: int, offset: int) -> None:
        """Count another record."""
        self.count += 1
        if len(self.places) < _MOST_PLACES:
            self.places.append(f"{topic}/{partition}/{offset}")

    def sentences(self, kind: str) -> list[str]:
        """The report for a person, empty without records; `kind` is what the topic should hold."""
        if not self.count:
            return []
        places = ", ".join([*self.places, *(["..."] if self.count > len(self.places) else [])])
        records, verb = quantity(self.count, "record"), "is" if self.count == 1 else "are"
        return [
            f"{records} among the {kind} {verb} none ({places}). Only digitstream may write there. "
            f"Find out who else does."
        ]
