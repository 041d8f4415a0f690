"""The AsyncAPI document says what a model expects, as its bundle does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from contract.data import datasets
from contract.model import document
from contract.model.scaling import Scaling

LIGHT = Scaling(1 / 255, 0.0, ink="light")


def readings(file: Path) -> dict[str, str]:
    channel: dict[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))["channels"][
        "readings"
    ]
    return channel


def test_as_it_is_here_it_speaks_of_the_model_of_the_sample() -> None:
    sample = datasets.sample("train")
    said = document.expected(sample.shape, Scaling.fit(sample.images), "refuse")
    assert said == document.USUAL
    assert said in readings(document.ASYNCAPI)["description"]
    assert "28 x 28 pixels, 8-bit grey, light ink on dark, like a white digit on black" in said


@pytest.mark.parametrize(
    ("scaling", "colour", "told"),
    [
        (LIGHT, "refuse", "One of dark ink on light is not inverted: it gets a score"),
        (Scaling(1.0, 0.0, "light", "auto"), "refuse", "An image of dark ink on light is inverted"),
        (Scaling(1.0, 0.0, "dark", "auto"), "refuse", "An image of light ink on dark is inverted"),
        (Scaling(1.0, 0.0), "refuse", "of any ink, or of one that the bundle does not tell"),
        (LIGHT, "convert", "A PNG in colours is made grey."),
    ],
)
def test_it_is_written_for_an_installation(
    tmp_path: Path, scaling: Scaling, colour: document.Colour, told: str
) -> None:
    said = document.expected((32, 20, 1), scaling, colour)
    assert said.startswith("The model expects 32 x 20 pixels") and told in said
    file = document.write(tmp_path / "api", "plant.7", said)
    assert readings(file)["address"] == "plant.7.readings"
    assert said in readings(file)["description"]
    assert document.USUAL not in file.read_text()
    schemas = sorted(path.name for path in (tmp_path / "api" / "schemas").iterdir())
    assert schemas == sorted(path.name for path in document.SCHEMAS.iterdir())
