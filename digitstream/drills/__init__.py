"""Things that break, on purpose, in an installation made for it: what is promised, what is seen."""

from __future__ import annotations

import difflib

from contract.errors import SettingsError
from digitstream.drills import (
    bombs,
    checkpoint,
    clients,
    locked,
    models,
    network,
    outside,
    readings,
    registries,
    scorer,
    soak,
    stalled,
)
from digitstream.drills.drill import DRILLS, Drill

__all__ = [
    "DRILLS",
    "bombs",
    "checkpoint",
    "chosen",
    "clients",
    "locked",
    "models",
    "network",
    "outside",
    "readings",
    "registries",
    "scorer",
    "soak",
    "stalled",
]


def chosen(name: str) -> list[Drill]:
    """The drill of this name; `all` are those that do not last. Raises SettingsError."""
    if name == "all":
        return [each for each in DRILLS.values() if not each.lasting]
    if name not in DRILLS:
        near = difflib.get_close_matches(name, DRILLS, n=1, cutoff=0)[0]
        message = (
            f"There is no drill {name!r}; the nearest is {near}. `digitstream drill list` tells "
            f"them all."
        )
        raise SettingsError(message)
    return [DRILLS[name]]
