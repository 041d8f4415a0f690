"""A drill: what it breaks, what is promised of that, and the function that tries it."""

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
"""Breaks something on a ground of its own and returns what was seen.

Raises Broken if the promise was not kept, and Impossible where this machine does not let it try.
"""


@dataclass(frozen=True)
class Drill:
    """Something to break; a `lasting` one only when it is asked for by its name."""

    name: str
    promise: str
    attempt: Try
    lasting: bool = False


DRILLS: dict[str, Drill] = {}
"""Every drill by its name; `all` runs them in this order, but for those that last."""


def drill(name: str, promise: str, *, lasting: bool = False) -> Callable[[Try], Try]:
    """Make a function the drill of this name."""

    def keep(attempt: Try) -> Try:
        DRILLS[name] = Drill(name, promise, attempt, lasting)
        return attempt

    return keep


def tried(each: Drill, ground: Ground) -> Outcome:
    """What comes of a drill on a ground."""
    began = time.monotonic()
    kept: bool | None
    try:
        seen, kept = each.attempt(ground), True
    except Impossible as why:
        seen, kept = str(why), None
    except DigitstreamError as fault:
        seen, kept = str(fault), False
    return Outcome(each.name, each.promise, seen, kept, round(time.monotonic() - began, 1))
