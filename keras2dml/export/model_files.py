"""Reads Keras models from files, without running code that they hold."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # with Keras
import keras

from keras2dml.errors import InvalidData

_CONFIG_BYTES = 1 << 26
_LAMBDA = "__lambda__"
_CODE = "the code of a Lambda layer"
_REGISTERED = re.compile(r"[\w.]+>\w+")
_PLACES = (keras, keras.layers, keras.losses, keras.metrics, keras.optimizers)
"""Where .h5 files have Keras' classes from, of which they only have the names."""


def load(path: Path) -> keras.Model:
    """The Keras model of a .keras or .h5 file.

    Raises InvalidData if there is none, or if it needs classes or functions of the user's.
    """
    if not path.is_file():
        message = f"There is no file {path}: give one that model.save() wrote."
        raise InvalidData(message)
    if path.suffix not in {".keras", ".h5", ".hdf5"}:
        message = f"{path} is not a .keras or .h5 file: give one that model.save() wrote."
        raise InvalidData(message)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        message = f"{path} is damaged, or not a Keras model: give a file that model.save() wrote."
        raise InvalidData(message)
    try:
        with warnings.catch_warnings():
            # For an optimizer without a step so far, which has no state to load.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return keras.models.load_model(path)
    except (ValueError, OSError, TypeError, KeyError) as error:
        if needs := _all_needs(path):
            more = f" and {len(needs) - 5} more" if len(needs) > 5 else ""
            lacks = "run" if _CODE in needs else "have"
            message = (
                f"{path} needs {', '.join(needs[:5])}{more}, which the command line does not"
                f" {lacks}: load the model in Python and compile it with Keras2DML."
            )
            raise InvalidData(message) from error
        reason = str(error).splitlines()[0]
        message = f"{path} holds no Keras model ({reason}): give a file that model.save() wrote."
        raise InvalidData(message) from error


def _all_needs(path: Path) -> list[str]:
    """What the descriptions of a file need beside Keras, each once; none if they are nested too
    deeply to tell.
    """
    try:
        return list(dict.fromkeys(_needs(_configs(path))))
    except RecursionError:
        return []


def _configs(path: Path) -> list[Any]:
    """The descriptions of a file's layers, losses and the like; none if they cannot be read."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
                return [json.loads(file.read(_CONFIG_BYTES))]
        with h5py.File(path) as file:
            texts = [file.attrs.get(name) for name in ("model_config", "training_config")]
        return [json.loads(text) for text in texts if text]
    except (ValueError, OSError, KeyError, TypeError, RecursionError, zipfile.BadZipFile):
        return []


def _needs(part: Any) -> Iterator[str]:
    """What a description needs beside Keras, in words."""
    if isinstance(part, list):
        for item in part:
            yield from _needs(item)
    elif isinstance(part, str) and _REGISTERED.fullmatch(part):
        yield f"the function {_short(part)!r}"
    elif isinstance(part, dict):
        kind = part.get("class_name")
        if kind == _LAMBDA:
            yield _CODE
            return
        if part.get("module") == "builtins" and kind == "function":
            yield f"the function {_short(part.get('config'))!r}"
            return
        if isinstance(kind, str) and "config" in part and not _is_of_keras(part, kind):
            yield f"the class {_short(kind)!r}"
        for name, value in part.items():
            if name not in ("class_name", "name", "registered_name"):
                yield from _needs(value)


def _is_of_keras(part: dict[str, Any], kind: str) -> bool:
    module = part.get("module")
    if isinstance(module, str):
        return module.partition(".")[0] in ("keras", "builtins", "numpy")
    is_listed = kind == "Functional" or any(hasattr(place, kind) for place in _PLACES)
    return kind.startswith("__") or ("registered_name" not in part and is_listed)


def _short(name: Any) -> str:
    """A name without the package under which it is registered."""
    return str(name).rpartition(">")[2]
