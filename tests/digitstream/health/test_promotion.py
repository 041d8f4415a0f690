"""What was trained becomes the champion, unless that one is better on the same images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.data.datasets import Dataset
from contract.model.bundle import Bundle
from contract.settings.programs import Scoring
from digitstream.health.promotion import promote_unless_worse
from tests.streaming.onnx_models import golden_of, linear, registered_as
from tests.streaming.records import SHAPE

GOOD, BAD = linear(1), linear(2)


@pytest.fixture
def settings(tmp_path: Path) -> Scoring:
    return Scoring(home=tmp_path)


@pytest.fixture(scope="module")
def held_out(sealed: Bundle) -> Dataset:
    """Images of which the good model has all right but one."""
    images = np.random.default_rng(0).integers(0, 256, (1_500, *SHAPE), np.uint8)
    labels = golden_of(GOOD, sealed, images).labels
    labels[0] = (labels[0] + 1) % 10
    return Dataset(images, labels, "by chance")


def test_the_first_version_is_promoted(
    settings: Scoring, sealed: Bundle, held_out: Dataset
) -> None:
    version = registered_as(settings, sealed, BAD)
    done = promote_unless_worse(settings.registry, version, held_out)
    assert (done.promoted, done.champion) == (True, None)
    assert settings.registry.resolve().version == version


def test_a_worse_version_is_not_promoted(
    settings: Scoring, sealed: Bundle, held_out: Dataset
) -> None:
    good, worse, same = (registered_as(settings, sealed, model) for model in (GOOD, BAD, GOOD))
    settings.registry.promote(good)
    done = promote_unless_worse(settings.registry, worse, held_out)
    assert (done.promoted, done.champion, done.images, done.champion_right) == (
        False,
        good,
        1_500,
        1_499,
    )
    assert done.right is not None and done.right < 1_000
    assert done.reason == (
        f"it has {done.right} of the same 1500 images held out right, version {good} 1499"
    )
    assert settings.registry.resolve().version == good
    assert promote_unless_worse(settings.registry, same, held_out).promoted
    assert settings.registry.resolve().version == same


def test_what_cannot_be_compared_is_not_promoted(
    settings: Scoring, sealed: Bundle, held_out: Dataset
) -> None:
    good = registered_as(settings, sealed, GOOD)
    settings.registry.promote(good)
    shape = (8, 8, 1)
    images = np.zeros((3, *shape), np.uint8)
    small = linear(1, shape=shape)
    version = registered_as(settings, sealed, small, golden_of(small, sealed, images))
    done = promote_unless_worse(settings.registry, version, replace(held_out, images=images))
    assert (done.promoted, done.right) == (False, None)
    assert f"takes images of {SHAPE}, this version of (8, 8, 1)" in done.reason
    assert settings.registry.resolve().version == good


def test_a_champion_that_cannot_be_loaded_gives_way(
    settings: Scoring, sealed: Bundle, held_out: Dataset
) -> None:
    broken, version = (registered_as(settings, sealed, model) for model in (GOOD, BAD))
    settings.registry.promote(broken)
    (settings.registry.fetch(broken).folder / "model.onnx").write_bytes(b"changed")
    done = promote_unless_worse(settings.registry, version, held_out)
    assert (done.promoted, done.champion) == (True, broken)
    assert "cannot be loaded" in done.reason
