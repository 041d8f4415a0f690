"""A drill: what it breaks, what is promised, and the function that tries it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.errors import DigitstreamError
from digitstream.drills.outcome import Impossible, Outcome

if TYPE_CHECKING:
    from digitstream.drills.ground.ground import Ground

Try = Callable[["Ground"], str]
"""Breaks something on a ground of its own, and returns what was observed.

Raises Broken if the promise was not kept, and Impossible if this machine does not allow the drill.
"""


@dataclass(frozen=True)
class Drill:
    """Something to break. `all` leaves out a `lasting` one."""

    name: str
    promise: str
    attempt: Try
    lasting: bool = False


DRILLS: dict[str, Drill] = {}
"""Every drill by its name, in the order in which `all` runs them, without the lasting ones."""


def drill(name: str, promise: str, *, lasting: bool = False) -> Callable[[Try], Try]:
    """Register a function as the drill of this name."""

    def register(attempt: Try) -> Try:
        DRILLS[name] = Drill(name, promise, attempt, lasting)
        return attempt

    return register


def run(drill: Drill, ground: Ground) -> Outcome:
    """Run a drill on a ground."""
    start = time.monotonic()
    is_kept: bool | None
    try:
        seen, is_kept = drill.attempt(ground), True
    except Impossible as error:
        seen, is_kept = str(error), None
    except DigitstreamError as error:
        seen, is_kept = str(error), False
    return Outcome(drill.name, drill.promise, seen, is_kept, round(time.monotonic() - start, 1))
