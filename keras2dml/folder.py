"""The folder of weights, as SystemML wrote it: `<layer>_weight.mtx` and `<layer>_bias.mtx`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping
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
    """The weights in `source` by name, without those of the layers `ignored`; InvalidData if one is
    missing or of another size.
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
    missing = [_file(source, one).name for one in wanted if not _file(source, one).exists()]
    if missing:
        message = (
            f"The folder {source} lacks {', '.join(missing)}: give a folder that save() wrote,"
            " or ignore_weights=[...]."
        )
        raise InvalidData(message)
    lines = [dml.read(one.name, _file(source, one)) for one in wanted]
    names = tuple(one.name for one in wanted)
    matrices = systemds.computed(Script("\n".join(lines), (), names), {})
    for one in wanted:
        if matrices[one.name].shape != one.weight.matrix:
            found, own = dml.shape(matrices[one.name].shape), dml.shape(one.weight.matrix)
            message = (
                f"{_file(source, one)} is {found}, the model's {one.name} {own}: give"
                " weights of this model."
            )
            raise InvalidData(message)
    return matrices


def file_name(one: Parameter) -> str:
    """What the file of a parameter is called."""
    return f"{dml.identifier(one.layer)}_{_ROLES.get(one.role, one.role)}.mtx"


def _file(folder: Path, one: Parameter) -> Path:
    return folder.absolute() / file_name(one)
