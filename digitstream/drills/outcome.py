"""What comes of a drill."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors import ProgramError

NOTHING_LOST = "Nothing is lost"
"""What a program says that had to stop, and goes on where it stopped."""


class Broken(ProgramError):
    """A promise was not kept."""


class Impossible(ProgramError):
    """This machine does not let a drill do what it has to do."""


@dataclass(frozen=True)
class Outcome:
    """What came of a drill; `kept` is None where it could not be tried."""

    name: str
    promise: str
    seen: str
    kept: bool | None
    seconds: float
