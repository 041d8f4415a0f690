"""Failures caused on purpose, in an installation made for it: the promises, and the outcomes."""

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


def select(name: str) -> list[Drill]:
    """The drill of this name, or `all` but the lasting ones. Raises SettingsError."""
    if name == "all":
        return [drill for drill in DRILLS.values() if not drill.lasting]
    if name not in DRILLS:
        near = difflib.get_close_matches(name, DRILLS, n=1, cutoff=0)[0]
        message = (
            f"There is no drill {name!r}; the nearest is {near}. `digitstream drill list` shows "
            f"them all."
        )
        raise SettingsError(message)
    return [DRILLS[name]]
