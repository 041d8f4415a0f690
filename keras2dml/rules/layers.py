"""All rules of this package, loaded: the registry of those modules and of a user's own."""

from __future__ import annotations

from keras2dml.rules import LOWERINGS, activations, core, images

__all__ = ["LOWERINGS", "activations", "core", "images"]
