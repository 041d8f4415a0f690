"""Errors that more than one wing of the stream knows."""

from __future__ import annotations

from contract.errors import ModelError


class ModelFailed(ModelError):
    """A model that cannot score; no reading is to blame, so the stream stops.

    `fact` is what it did.
    """

    fact = ""
