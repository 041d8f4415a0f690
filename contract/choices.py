"""The values of settings that more than one package uses."""

from __future__ import annotations

from typing import Literal

Engine = Literal["onnx", "openvino", "openvino-int8", "systemds"]
"""The runtimes for a model."""

EngineChoice = Literal["auto", Engine]
"""An engine, or "auto": the fastest that passes the golden set."""

AUTO: Literal["auto"] = "auto"

Payload = Literal["raw", "png", "json"]
"""How an image is encoded in a reading."""

Invert = Literal["never", "auto"]
"""Whether a model inverts images whose ink differs from that of its training images."""

Colour = Literal["refuse", "convert"]
"""What to do with a colour PNG for a model of greyscale images."""

Compression = Literal["lz4", "zstd", "snappy", "gzip", "none"]
"""How Kafka's records are compressed."""

SAMPLE = "sample"
"""The name of the included images, in place of a folder."""
