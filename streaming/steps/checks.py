"""The first steps, which fail records without an image of the model's shape."""

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
    """Checks that readings hold an image of a shape (H, W, C)."""

    shape: Shape
    topics: Topics
    colour: Colour = "refuse"

    @property
    def steps(self) -> dict[str, Step]:
        """The steps by name, in order."""
        return {"decode": self.decode, "validate": self.validate}

    def decode(self, frame: Frame) -> Frame:
        """Decode the headers and payloads of the records."""
        return decoded(frame, self.shape, self.topics, self.colour)

    def validate(self, frame: Frame) -> Frame:
        """Fail images of another shape."""
        return validated(frame, self.shape)
