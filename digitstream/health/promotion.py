"""Promotes a newly trained version unless the current champion is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.data.datasets import Dataset
from contract.errors import BundleError, NoChampion
from contract.model import bundle
from contract.model.bundle import ONNX, Bundle
from contract.model.registry import RegisteredVersion, Registry
from contract.quantities import quantity
from streaming.engines import onnx

IMAGES_AT_ONCE = 1_000


@dataclass(frozen=True)
class Promotion:
    """Whether a version is champion now, and how it compares with the previous champion.

    `right` and `champion_right` are how many of the same `images` each has right by its ONNX model;
    None if they could not be compared, and `reason` says why.
    """

    promoted: bool
    champion: str | None
    """The version that was champion before."""

    images: int
    right: int | None
    champion_right: int | None
    reason: str


def promote_unless_worse(registry: Registry, version: str, held_out: Dataset) -> Promotion:
    """Promote a version unless the champion classifies more of the held-out images correctly.

    An equally good version is promoted, as is one if there is no champion, or none that can be
    loaded and so can score. A champion for other images or classes stays, as the two cannot be
    compared.
    """
    new = bundle.load(registry.fetch(version).folder)
    try:
        champion = registry.resolve()
        old = bundle.load(champion.folder)
    except NoChampion:
        return _promote(registry, version, None, "there was no champion")
    except BundleError as error:
        return _promote(registry, version, champion, f"the champion cannot be loaded: {error}")
    difference = _difference(new, old)
    if difference:
        return Promotion(False, champion.version, len(held_out.images), None, None, difference)
    right, champion_right = (_count_right(candidate, held_out) for candidate in (new, old))
    is_worse = right < champion_right
    if not is_worse:
        registry.promote(version)
    of = f"of the same {quantity(len(held_out.images), 'image')} held out"
    return Promotion(
        promoted=not is_worse,
        champion=champion.version,
        images=len(held_out.images),
        right=right,
        champion_right=champion_right,
        reason=f"it has {right} {of} right, version {champion.version} {champion_right}",
    )


def _promote(
    registry: Registry, version: str, champion: RegisteredVersion | None, reason: str
) -> Promotion:
    registry.promote(version)
    return Promotion(True, None if champion is None else champion.version, 0, None, None, reason)


def _difference(new: Bundle, old: Bundle) -> str:
    """Why two models cannot be compared on the same images; empty if they can."""
    if new.manifest.input_shape != old.manifest.input_shape:
        return (
            f"the champion takes images of {old.manifest.input_shape}, this version of "
            f"{new.manifest.input_shape}: they cannot be compared"
        )
    if set(new.manifest.classes) != set(old.manifest.classes):
        return "the champion has other classes: they cannot be compared"
    return ""


def _count_right(model: Bundle, held_out: Dataset) -> int:
    """How many of the images a model has right."""
    predict = onnx.load(model.read(ONNX))
    scaling, images = model.manifest.scaling, held_out.images
    predicted = np.concatenate(
        [
            predict(scaling.apply(images[start : start + IMAGES_AT_ONCE])).argmax(axis=1)
            for start in range(0, len(images), IMAGES_AT_ONCE)
        ]
    )
    return int(np.count_nonzero(_named(predicted, model.manifest.classes) == held_out.labels))


def _named(predicted: NDArray[np.int64], classes: Sequence[object]) -> NDArray[np.object_]:
    names: NDArray[np.object_] = np.array(classes, dtype=object)[predicted]
    return names
