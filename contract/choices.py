"""The words among which a setting chooses, where more than one room knows them."""

from __future__ import annotations

from typing import Literal

Engine = Literal["onnx", "openvino", "openvino-int8", "systemds"]
"""What runs a model."""

EngineChoice = Literal["auto", Engine]
"""An engine, or "auto": the fastest that keeps to the golden set."""

AUTO: Literal["auto"] = "auto"

Payload = Literal["raw", "png", "json"]
"""How an image is encoded in a reading."""

Invert = Literal["never", "auto"]
"""Whether images of another ink than a model was trained on are inverted before it sees them."""

Colour = Literal["refuse", "convert"]
"""What becomes of a PNG in colours that is sent to a model for grey images."""

SAMPLE = "sample"
"""The name of the images that come with digitstream, where else a folder is named."""
