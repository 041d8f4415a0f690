"""The AsyncAPI document, adapted to an installation's topics and model."""

from __future__ import annotations

import shutil
from pathlib import Path

from contract.choices import AUTO, Colour
from contract.model.scaling import Scaling
from contract.wire.images import FORMS, Shape

ASYNCAPI = Path(__file__).parent.with_name("asyncapi.yaml")
SCHEMAS = Path(__file__).parent.with_name("schemas")

PREFIX = "digits"
"""The topic prefix in the document."""

_INKS = {
    "light": "light ink on dark, like a white digit on black",
    "dark": "dark ink on light, like a black digit on white",
    None: "of any ink, or of one that the bundle does not tell",
}
_OTHER = {"light": "dark ink on light", "dark": "light ink on dark", None: "another ink"}


def expected(shape: Shape, scaling: Scaling, colour: Colour) -> str:
    """Describes, for senders, the images that a model expects; one line."""
    height, width, channels = shape
    form = FORMS.get(channels, f"{channels} channels")
    parts = [f"The model expects {height} x {width} pixels, {form}, {_INKS[scaling.ink]}."]
    if scaling.invert == AUTO:
        parts.append(f"An image of {_OTHER[scaling.ink]} is inverted first, by its border.")
    else:
        parts.append(
            f"One of {_OTHER[scaling.ink]} is not inverted: it gets a score that is mostly wrong, "
            f"and its confidence does not show it."
        )
    if channels == 1 and colour == "convert":
        parts.append("A PNG in colours is made grey.")
    return " ".join(parts)


USUAL = expected((28, 28, 1), Scaling(1 / 255, 0.0, ink="light"), "refuse")
"""The description in the document: that of the model `digitstream train` makes of the sample."""


def write(folder: Path, prefix: str, expects: str) -> Path:
    """Write the document and its schemas into a folder; returns the document's file.

    `expects` is the model's description by `expected`. Raises OSError.
    """
    text = ASYNCAPI.read_text("utf-8").replace(USUAL, expects)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SCHEMAS, folder / SCHEMAS.name, dirs_exist_ok=True)
    file = folder / ASYNCAPI.name
    file.write_text(text.replace(f"address: {PREFIX}.", f"address: {prefix}."), "utf-8")
    return file
