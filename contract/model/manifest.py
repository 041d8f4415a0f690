"""A bundle's manifest, and its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from contract.choices import Colour, Invert
from contract.errors import BundleError
from contract.model.scaling import Ink, Scaling
from contract.wire.images import Shape
from contract.wire.values import fields, strict_json
from contract.wire.values.times import moment, stamp

FORMAT = 2
"""The version of the manifest's format."""

SHA_256 = re.compile(r"[0-9a-f]{64}")

Class = int | str


@dataclass(frozen=True)
class Manifest:
    """Describes a bundle, whose model maps images of `input_shape` (H, W, C) to one of `classes`.

    `files` maps paths relative to the folder to their SHA-256, `versions` has the packages that
    made the bundle, `data_sha256` is that of the training data, `metrics` are of test data.
    """

    name: str
    input_shape: Shape
    classes: tuple[Class, ...]
    scaling: Scaling
    files: Mapping[str, str]
    versions: Mapping[str, str]
    data_sha256: str
    metrics: Mapping[str, float]
    created: datetime
    dtype: str = "uint8"
    colour: Colour = "refuse"
    """What to do with a colour PNG if images have one channel: "convert" makes it grey."""

    def to_json(self) -> bytes:
        """The manifest as JSON; optional fields with their default value are left out."""
        body = {"format": FORMAT, **asdict(self), "created": stamp(self.created)}
        if self.colour == "refuse":
            del body["colour"]
        scaling = asdict(self.scaling)
        defaults = {"ink": None, "invert": "never"}
        body["scaling"] = {
            name: value for name, value in scaling.items() if (name, value) not in defaults.items()
        }
        return (json.dumps(body, indent=2) + "\n").encode()

    @classmethod
    def of(cls, text: bytes, folder: Path) -> Manifest:
        """The manifest in JSON; raises BundleError that lists all invalid fields.

        `folder` appears in the error message.
        """
        try:
            body = strict_json.loads(text)
        except ValueError as exc:
            raise _manifest_error(folder, [f"it is not JSON ({exc})"]) from exc
        if not isinstance(body, dict):
            raise _manifest_error(folder, ["it is not a JSON object"])
        if body.pop("format", None) != FORMAT:
            raise _manifest_error(folder, [f"its format is not {FORMAT}, the only supported one"])
        complaints = [f"{name} is missing" for name in FIELDS.keys() - OPTIONAL - body.keys()]
        complaints += [f"{name} is unknown" for name in body.keys() - FIELDS.keys()]
        complaints += [
            f"{name} is {body[name]!r:.80}"
            for name, valid in FIELDS.items()
            if name in body and not valid(body[name])
        ]
        if complaints:
            raise _manifest_error(folder, sorted(complaints))
        return cls(
            **body
            | {
                "input_shape": tuple(body["input_shape"]),
                "classes": tuple(body["classes"]),
                "scaling": Scaling(**body["scaling"]),
                "created": moment(body["created"]),
            }
        )


def _manifest_error(folder: Path, complaints: list[str]) -> BundleError:
    return BundleError(
        f"The manifest of {folder} is invalid: {'; '.join(complaints)}. It must be as this "
        f"version's training writes it. Copy the bundle again, or train again."
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_class(value: object) -> bool:
    """Whether a score may have this prediction."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return type(value) is int and -fields.LARGEST - 1 <= value <= fields.LARGEST


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and -1e308 < value < 1e308


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(moment(value))
    except ValueError:
        return False


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and SHA_256.fullmatch(value) is not None


def _is_inside(name: str) -> bool:
    """Whether this is a relative path within the folder, in normal form."""
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name) and (
        str(path) == name != "."
    )


def _is_map(value: object, valid: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(valid(item) for item in value.values())


def _is_scaling(value: object) -> bool:
    if not isinstance(value, dict) or not {"scale", "minimum"} <= value.keys():
        return False
    ink, invert = value.get("ink"), value.get("invert", "never")
    return (
        value.keys() <= {"scale", "minimum", "ink", "invert"}
        and _is_finite(value["scale"])
        and _is_finite(value["minimum"])
        and ("ink" not in value or ink in get_args(Ink))
        and (invert == "never" or (invert in get_args(Invert) and ink is not None))
    )


OPTIONAL = {"colour"}
"""Fields that a manifest may lack; their default then applies."""

FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and value != "",
    "input_shape": lambda value: (
        isinstance(value, list) and len(value) == 3 and all(_is_count(extent) for extent in value)
    ),
    "classes": lambda value: (
        isinstance(value, list) and all(map(_is_class, value)) and len(set(value)) == len(value) > 1
    ),
    "scaling": _is_scaling,
    "files": lambda value: _is_map(value, _is_digest) and all(map(_is_inside, value)),
    "versions": lambda value: _is_map(value, lambda version: isinstance(version, str)),
    "data_sha256": _is_digest,
    "metrics": lambda value: _is_map(value, _is_finite),
    "created": _is_time,
    "dtype": lambda value: value == "uint8",
    "colour": lambda value: value in get_args(Colour),
}
