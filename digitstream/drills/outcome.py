"""The outcome of a drill."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors import ProgramError

NOTHING_LOST = "Nothing is lost"
"""Part of the message of a program that had to stop and will resume where it stopped."""


class Broken(ProgramError):
    """A promise was not kept."""


class Impossible(ProgramError):
    """This machine does not allow what a drill has to do."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a drill; `kept` is None if it could not be tried."""

    name: str
    promise: str
    seen: str
    kept: bool | None
    seconds: float
