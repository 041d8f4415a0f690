"""Pictures that a bundle declares it takes: dark digits on light, and PNGs in colours."""

from __future__ import annotations

import io
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from contract.data import datasets
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.model.scaling import Scaling
from contract.settings.programs import Scoring
from contract.wire import images
from contract.wire.events import Score
from contract.wire.topics import Topics
from streaming.query.program import score
from streaming.steps.decode import decoded
from streaming.steps.frame import Frame
from tests.streaming.onnx_models import golden_of
from tests.streaming.records import SHAPE, reading, records
from tests.streaming.wire import answers, send

DIGITS = datasets.sample("test").images[:12]


def in_colours(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(pixels, 3, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


COLOURED = reading(content_type=images.PNG, payload=in_colours(DIGITS[0]))


@pytest.mark.parametrize(("colour", "is_good"), [("refuse", False), ("convert", True)])
def test_colours_become_grey_only_if_the_bundle_says_so(colour: str, is_good: bool) -> None:
    frame = decoded(Frame.of(records([COLOURED])), SHAPE, Topics.named("test"), colour)
    assert frame.good.to_pylist() == [is_good]
    if is_good:
        assert frame.pixels[0].as_py() == DIGITS[0].tobytes()


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long
def test_all_engines_score_inverted_digits_as_those_that_they_were(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, tmp_path: Path
) -> None:
    version = scoring.registry.register(declared(sealed, tmp_path / "declared"), parameters={})
    scoring.registry.promote(version)
    raw = [reading(n, payload=images.encode(pixels)) for n, pixels in enumerate(DIGITS)]
    inverted = [
        reading(100 + n, payload=images.encode(255 - pixels)) for n, pixels in enumerate(DIGITS)
    ]
    coloured = [
        reading(200 + n, content_type=images.PNG, payload=in_colours(255 - pixels))
        for n, pixels in enumerate(DIGITS)
    ]
    send(scoring, [*raw, *inverted, *coloured])
    for engine in ("onnx", "openvino", "systemds"):
        settings = replace(scoring, engine=engine, name=engine, guard_readings=0)
        score(spark, settings, threading.Event(), lambda sentence: None)
    found: dict[str, dict[str, Score]] = {}
    for answer in answers(scoring).scores:
        found.setdefault(answer.model.engine, {})[answer.id] = answer
    assert found.keys() == {"onnx", "openvino", "systemds"}
    for scores in found.values():
        assert len(scores) == 3 * len(DIGITS)
        for n in range(len(DIGITS)):
            wanted = scores[f"reading-{n}"].probabilities
            for other in (100, 200):
                np.testing.assert_allclose(scores[f"reading-{other + n}"].probabilities, wanted)


def declared(sealed: Bundle, folder: Path) -> Bundle:
    """The bundle's model, declared to invert and to take colours; its golden set are digits."""
    shutil.copytree(sealed.folder, folder)
    manifest = sealed.manifest
    return bundle.write(
        folder,
        name=manifest.name,
        input_shape=manifest.input_shape,
        classes=manifest.classes,
        scaling=Scaling(manifest.scaling.scale, manifest.scaling.minimum, "light", "auto"),
        versions={},
        data_sha256=manifest.data_sha256,
        metrics={},
        golden=golden_of((sealed.folder / bundle.ONNX).read_bytes(), sealed, DIGITS),
        colour="convert",
    )
