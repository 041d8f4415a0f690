"""The first steps: which records hold an image of the shape that the model takes."""

from __future__ import annotations

from dataclasses import dataclass

from contract.choices import Colour
from contract.wire.images import Shape
from contract.wire.topics import Topics
from streaming.steps.decode import decoded
from streaming.steps.frame import Frame, Step
from streaming.steps.validate import validated


@dataclass(frozen=True)
class Checks:
    """The checks of readings for images of a shape (H, W, C)."""

    shape: Shape
    topics: Topics
    colour: Colour = "refuse"

    @property
    def steps(self) -> dict[str, Step]:
        """The steps by their names, in their order."""
        return {"decode": self.decode, "validate": self.validate}

    def decode(self, frame: Frame) -> Frame:
        """Read the records' headers and payloads."""
        return decoded(frame, self.shape, self.topics, self.colour)

    def validate(self, frame: Frame) -> Frame:
        """Fail the images of another shape."""
        return validated(frame, self.shape)
