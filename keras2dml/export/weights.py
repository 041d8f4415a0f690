"""The folder of weights in SystemML's form: `<layer>_weight.mtx` and `<layer>_bias.mtx`."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from keras2dml.dml import syntax
from keras2dml.errors import InvalidData, writing
from keras2dml.graph import Graph, Parameter
from keras2dml.rendering.forward import Script
from keras2dml.systemds.context import SystemDS

# SystemML's names of variables, where they differ from Keras'.
_ROLES = {"kernel": "weight"}
# A matrix, SystemDS' metadata, and Hadoop's checksums.
_WRITTEN = re.compile(r".+\.mtx(\.mtd)?(\.crc)?$")
_BYTES_OF_A_NAME = 180
FORMATS = ("binary", "csv", "text")


def save(
    systemds: SystemDS, graph: Graph, matrices: Mapping[str, np.ndarray], target: Path, kind: str
) -> None:
    """Write all weights to `target`; the folder is replaced as a whole, so that it is never half
    written. Raises InvalidData if it has anything but weights, or cannot be written.
    """
    if kind not in FORMATS:
        message = f"format is {kind!r}: give one of {', '.join(map(repr, FORMATS))}."
        raise InvalidData(message)
    target = target.absolute()
    _check_replaceable(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)
    with beside as folder:
        new, old = Path(folder, "new"), Path(folder, "old")
        new.mkdir()
        names = [parameter.name for parameter in graph.parameters]
        files = file_names(graph)
        lines = [syntax.write(name, new.absolute() / files[name], kind) for name in names]
        with systemds.holding({name: matrices[name] for name in names}) as variables:
            systemds.run(Script("\n".join(lines), tuple(names), ()), variables)
        for checksum in new.glob(".*.crc"):
            checksum.unlink()
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def remove(target: Path) -> None:
    """Remove a folder of weights, unless it has anything else."""
    if target.is_dir() and not _others(target):
        shutil.rmtree(target, ignore_errors=True)


def _others(folder: Path) -> list[str]:
    """The files in a folder that are not weights."""
    return sorted(file.name for file in folder.iterdir() if not _WRITTEN.match(file.name))


def _check_replaceable(target: Path) -> None:
    """Raise InvalidData if `target` is anything other than a folder of weights."""
    if target.is_dir():
        if others := _others(target):
            message = (
                f"The folder {target} has {others[0]!r}, which is not a weight, and would be"
                " replaced: give a separate folder."
            )
            raise InvalidData(message)
    elif target.exists():
        message = f"{target} is a file: give a folder for the weights."
        raise InvalidData(message)


def load(
    systemds: SystemDS, graph: Graph, source: Path, ignored: Collection[str]
) -> dict[str, np.ndarray]:
    """The weights in `source` by name, without those of the layers `ignored`.

    If layers have automatic names with other numbers in the folder, they are matched by order, with
    a warning. Raises InvalidData if the folder or a weight is missing, or a weight has another
    size.
    """
    layers = {
        parameter.name: {parameter.layer, *_path(parameter)} for parameter in graph.parameters
    }
    unknown = sorted(set(ignored).difference(*layers.values()))
    if unknown:
        named = dict.fromkeys(parameter.layer for parameter in graph.parameters)
        message = (
            f"ignore_weights names {', '.join(unknown)}; the layers with weights are"
            f" {', '.join(named)}."
        )
        raise InvalidData(message)
    if source.exists() and not source.is_dir():
        message = f"{source} is a file: give a folder that save() wrote."
        raise InvalidData(message)
    if not source.is_dir():
        message = f"There is no folder {source}: give one that save() wrote."
        raise InvalidData(message)
    parameters = [
        parameter for parameter in graph.parameters if layers[parameter.name].isdisjoint(ignored)
    ]
    names = file_names(graph)
    files = {
        parameter.name: source.absolute() / names[parameter.name] for parameter in graph.parameters
    }
    if not all(file.exists() for file in files.values()):
        files |= _renumbered(source, graph, [parameter.name for parameter in parameters])
    files = {parameter.name: files[parameter.name] for parameter in parameters}
    missing = [file.name for file in files.values() if not file.exists()]
    if missing:
        message = (
            f"The folder {source} lacks {', '.join(missing)}: give a folder that save() wrote,"
            " or ignore_weights=[...]."
        )
        raise InvalidData(message)
    lines = [syntax.read(name, file) for name, file in files.items()]
    matrices = systemds.compute(Script("\n".join(lines), (), tuple(files)), {})
    for parameter in parameters:
        if matrices[parameter.name].shape != parameter.weight.matrix:
            stored, expected = (
                syntax.shape(matrices[parameter.name].shape),
                syntax.shape(parameter.weight.matrix),
            )
            message = (
                f"{files[parameter.name]} is {stored}, but the model's {parameter.name} is"
                f" {expected}: give weights of this model."
            )
            raise InvalidData(message)
    return matrices


def file_names(graph: Graph) -> dict[str, str]:
    """The file name of each parameter, by its name."""
    layers = _layers(graph)
    return {
        parameter.name: _file_name(layers[parameter.name], parameter.role)
        for parameter in graph.parameters
    }


def _layers(graph: Graph) -> dict[str, str]:
    """The layer name of each parameter in file names: Keras' name; if several parts of the model
    have a layer with that name, preceded by the names of the layers around it.
    """
    parts = defaultdict(set)
    for parameter in graph.parameters:
        parts[parameter.layer].add(_path(parameter))
    layers = {
        parameter.name: syntax.identifier(
            parameter.layer if len(parts[parameter.layer]) == 1 else "_".join(_path(parameter))
        )
        for parameter in graph.parameters
    }
    files = Counter(
        _file_name(layers[parameter.name], parameter.role) for parameter in graph.parameters
    )
    for parameter in graph.parameters:
        name, role = parameter.name, parameter.role
        if files[_file_name(layers[name], role)] > 1:
            names = (name, *(f"{name}_{number}" for number in range(2, 2 + len(files))))
            layers[name] = next(unused for unused in names if not files[_file_name(unused, role)])
            files[_file_name(layers[name], role)] = 1
    return layers


def _path(parameter: Parameter) -> tuple[str, ...]:
    """The layers around a parameter, from the outermost."""
    return tuple(parameter.weight.variable.path.split("/")[:-1])


def _renumbered(source: Path, graph: Graph, parameters: Collection[str]) -> dict[str, Path]:
    """The files of the same layers with other numbers, `conv2d_4` for `conv2d_8`; none if the
    folder has other layers. A warning names the layers of these `parameters`.
    """
    own = {name: stem(layer) for name, layer in _layers(graph).items()}
    roles = "|".join(
        {re.escape(_ROLES.get(parameter.role, parameter.role)) for parameter in graph.parameters}
    )
    pattern = re.compile(rf"(.+)_(?:{roles})\.mtx")
    files = source.iterdir() if source.is_dir() else ()
    there = {match[1] for match in (pattern.fullmatch(file.name) for file in files) if match}
    layers: dict[str, str] = {}
    for kind in {_numbered(layer)[0] for layer in own.values()}:
        mine, theirs = (
            sorted((layer for layer in folder_layers if _numbered(layer)[0] == kind), key=_numbered)
            for folder_layers in ({*own.values()}, there)
        )
        if len(mine) != len(theirs):
            return {}
        layers |= dict(zip(mine, theirs, strict=True))
    used = dict.fromkeys(own[name] for name in parameters)
    changed = [layer for layer in used if layers[layer] != layer]
    if not changed:
        return {}
    warnings.warn(
        f"The folder {source} has the weights of layers with other numbers. They are matched by"
        f" order: {', '.join(f'{layers[layer]} for {layer}' for layer in changed)}.",
        stacklevel=4,
    )
    return {
        parameter.name: source.absolute() / _file_name(layers[own[parameter.name]], parameter.role)
        for parameter in graph.parameters
    }


def _numbered(layer: str) -> tuple[str, tuple[int, ...]]:
    """A layer's name without Keras' automatic numbers, and these numbers, in which 0 is omitted."""
    number = r"_(\d+)(?=_|$)"
    return re.sub(number, "", layer), tuple(map(int, re.findall(number, layer)))


def _file_name(layer: str, role: str) -> str:
    return f"{stem(layer)}_{_ROLES.get(role, role)}.mtx"


def stem(name: str) -> str:
    """A file name without extension for `name`: without slashes, and with a digest in place of what
    is too long for file systems.
    """
    plain = re.sub(r"[/\0]", "_", name)
    if len(plain.encode()) <= _BYTES_OF_A_NAME:
        return plain
    digest = sha256(name.encode()).hexdigest()[:16]
    return f"{plain.encode()[: _BYTES_OF_A_NAME - 17].decode(errors='ignore')}_{digest}"
