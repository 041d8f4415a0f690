"""The folder of weights, as SystemML wrote it: `<layer>_weight.mtx` and `<layer>_bias.mtx`."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras2dml import dml
from keras2dml.errors import InvalidData
from keras2dml.graph import Graph, Parameter
from keras2dml.rendering import Script
from keras2dml.systemds import SystemDS

# What SystemML called the variables that Keras calls otherwise.
_ROLES = {"kernel": "weight"}
FORMATS = ("binary", "csv", "text")


def save(
    systemds: SystemDS, graph: Graph, matrices: Mapping[str, np.ndarray], target: Path, kind: str
) -> None:
    """Write every weight into `target`; the folder is replaced as a whole, so that it is never half
    written.
    """
    if kind not in FORMATS:
        message = f"format is {kind!r}: give one of {', '.join(map(repr, FORMATS))}."
        raise InvalidData(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
        new, old = Path(made, "new"), Path(made, "old")
        new.mkdir()
        names = [one.name for one in graph.parameters]
        lines = [dml.write(one.name, _file(new, one), kind) for one in graph.parameters]
        with systemds.holding({name: matrices[name] for name in names}) as held:
            systemds.run(Script("\n".join(lines), tuple(names), ()), held)
        for checksum in new.glob(".*.crc"):
            checksum.unlink()
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def load(
    systemds: SystemDS, graph: Graph, source: Path, ignored: Collection[str]
) -> dict[str, np.ndarray]:
    """The weights in `source` by name, without those of the layers `ignored`.

    Where layers have names that Keras gave them, and these have other numbers in the folder, their
    order decides, which a warning says. Raises InvalidData if a weight is missing or of another
    size.
    """
    layers = {one.layer for one in graph.parameters}
    unknown = sorted(set(ignored) - layers)
    if unknown:
        message = (
            f"ignore_weights names {', '.join(unknown)}; the layers with weights are"
            f" {', '.join(layers)}."
        )
        raise InvalidData(message)
    wanted = [one for one in graph.parameters if one.layer not in ignored]
    files = {one.name: _file(source, one) for one in wanted}
    if not all(file.exists() for file in files.values()):
        renumbered = _renumbered(source, graph.parameters)
        files = {name: renumbered.get(name, file) for name, file in files.items()}
    missing = [file.name for file in files.values() if not file.exists()]
    if missing:
        message = (
            f"The folder {source} lacks {', '.join(missing)}: give a folder that save() wrote,"
            " or ignore_weights=[...]."
        )
        raise InvalidData(message)
    lines = [dml.read(name, file) for name, file in files.items()]
    matrices = systemds.computed(Script("\n".join(lines), (), tuple(files)), {})
    for one in wanted:
        if matrices[one.name].shape != one.weight.matrix:
            there, own = dml.shape(matrices[one.name].shape), dml.shape(one.weight.matrix)
            message = (
                f"{files[one.name]} is {there}, the model's {one.name} {own}: give weights of this"
                " model."
            )
            raise InvalidData(message)
    return matrices


def _renumbered(source: Path, parameters: Sequence[Parameter]) -> dict[str, Path]:
    """The files of the same layers under other numbers, `conv2d_4` for `conv2d_8`; none where the
    folder has other layers.
    """
    roles = "|".join({re.escape(_ROLES.get(one.role, one.role)) for one in parameters})
    pattern = re.compile(rf"(.+)_(?:{roles})\.mtx")
    there = {match[1] for match in map(pattern.fullmatch, _names(source)) if match}
    own = dict.fromkeys(dml.identifier(one.layer) for one in parameters)
    layers: dict[str, str] = {}
    for kind in {_numbered(layer)[0] for layer in own}:
        mine, theirs = (
            sorted((layer for layer in names if _numbered(layer)[0] == kind), key=_numbered)
            for names in (own, there)
        )
        if len(mine) != len(theirs):
            return {}
        layers |= dict(zip(mine, theirs, strict=True))
    renamed = ", ".join(f"{layers[layer]} for {layer}" for layer in own if layers[layer] != layer)
    warnings.warn(
        f"The folder {source} has the weights of layers with other numbers. They are taken in their"
        f" order: {renamed}.",
        stacklevel=5,
    )
    return {
        one.name: source.absolute() / _file_name(layers[dml.identifier(one.layer)], one.role)
        for one in parameters
    }


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()] if folder.is_dir() else []


def _numbered(layer: str) -> tuple[str, int]:
    """A layer's name without its number, and that: Keras leaves 0 out."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", layer)
    return (match[1], int(match[2] or 0)) if match else (layer, 0)


def file_name(one: Parameter) -> str:
    """What the file of a parameter is called."""
    return _file_name(dml.identifier(one.layer), one.role)


def _file_name(layer: str, role: str) -> str:
    return f"{layer}_{_ROLES.get(role, role)}.mtx"


def _file(folder: Path, one: Parameter) -> Path:
    return folder.absolute() / file_name(one)
