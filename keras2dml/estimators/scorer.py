"""A compiled model, a script and its weights, in memory or in a folder, and its scorer."""

from __future__ import annotations

import json
import math
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from keras2dml.data import features as data
from keras2dml.data import frames, scored_frames
from keras2dml.data.frames import Columns
from keras2dml.errors import InvalidData, InvalidGraph
from keras2dml.export import stored
from keras2dml.graph import Graph, Value
from keras2dml.rendering.forward import Script
from keras2dml.scripts import row_batches, score
from keras2dml.scripts.algorithms import Algorithm
from keras2dml.systemds import executors
from keras2dml.systemds.context import SystemDS
from keras2dml.systemds.matrices import Matrix

_SCRIPT, _WEIGHTS, _ABOUT = "score.dml", "weights.bin", "model.json"
_ABOUT_BYTES, _WEIGHTS_BYTES = 1 << 26, 1 << 33
_NUMBERS = np.dtype("<f8")
_WORD = re.compile(r"\w{1,100}", re.ASCII)


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A scoring script with its weights, as DML matrices by name, and its input."""

    graph: Graph
    weights: Mapping[str, np.ndarray]
    algorithm: Algorithm
    script: Script
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]

    FILES: ClassVar = (_ABOUT, _WEIGHTS)
    """What `of_files` needs of the files that `save` writes."""

    @classmethod
    def of(
        cls, graph: Graph, weights: Mapping[str, np.ndarray], algorithm: Algorithm | None = None
    ) -> CompiledModel:
        """The compiled graph with these weights."""
        constants = {name: constant.matrix for name, constant in graph.constants()}
        own = {parameter.name: weights[parameter.name] for parameter in graph.parameters}
        return cls._rendered(graph, {**own, **constants}, algorithm or Algorithm())

    @classmethod
    def _rendered(
        cls, graph: Graph, weights: Mapping[str, np.ndarray], algorithm: Algorithm
    ) -> CompiledModel:
        inputs = {graph.input_name(value): value for value in graph.inputs}
        outputs = dict(zip(score.outputs(graph), graph.outputs, strict=True))
        whole = algorithm.test == "batch"
        script = score.render(graph, whole=whole, loop=algorithm.scoring)
        return cls(graph, weights, algorithm, script, inputs, outputs)

    def plan(self, rows: int) -> tuple[Script, dict[str, tuple[int, int]]]:
        """The script, and the shapes of its inputs for this many rows."""
        shapes = {name: (rows, value.size) for name, value in self.inputs.items()}
        return self.script, {
            **shapes,
            **{name: matrix.shape for name, matrix in self.weights.items()},
        }

    def save(self, folder: Path | str) -> Path:
        """Write the model to `folder`, which is created.

        `model.json` describes its layers, `weights.bin` has its matrices one after another as
        float64, row by row. `score.dml` is the script, only for reading: it is generated again when
        the model is loaded.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        (target / _SCRIPT).write_text(self.script.text, encoding="utf-8")
        with (target / _WEIGHTS).open("wb") as file:
            for matrix in self.weights.values():
                file.write(np.ascontiguousarray(matrix, _NUMBERS).data)
        parfor = {
            name: value if isinstance(value, int) else str(value)
            for name, value in self.algorithm.parfor.items()
        }
        about = {"graph": stored.to_json(self.graph), "test": self.algorithm.test, "parfor": parfor}
        (target / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: Path | str) -> CompiledModel:
        """The model that `save` wrote; raises InvalidData as `of_files` does."""
        source = Path(folder)
        limits = {_ABOUT: _ABOUT_BYTES, _WEIGHTS: _WEIGHTS_BYTES}
        try:
            files = {name: _content(source / name, limits[name]) for name in cls.FILES}
        except (OSError, ValueError) as error:
            raise _no_model(source, error) from error
        return cls.of_files(files, source)

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], source: Path | str = "The file") -> CompiledModel:
        """The model in the files FILES, by name, that `save` wrote; `source` is their place in
        errors.

        The script is rendered from the description of the layers and only calls functions of the
        DML library, even if the files are malicious. Raises InvalidData if they are damaged, or if
        the library lacks a function: `define` adds that of a user's layer.
        """
        try:
            about = json.loads(files[_ABOUT])
            graph = stored.of_json(about["graph"])
            weights = _matrices(files[_WEIGHTS], graph)
            algorithm = Algorithm(test=about["test"], parfor=_parameters(about["parfor"]))
            return cls._rendered(graph, weights, algorithm.checked())
        except (
            *(ValueError, KeyError, TypeError, AttributeError, IndexError),
            *(InvalidGraph, OverflowError, RecursionError),
        ) as error:
            raise _no_model(source, error) from error


def _no_model(source: Path | str, error: Exception) -> InvalidData:
    why = str(error) or type(error).__name__
    return InvalidData(
        f"{source} holds no compiled model of this version ({why:.200}): write one with"
        " Keras2DML.save_compiled()."
    )


def _content(file: Path, limit: int) -> bytes:
    """A file's content; a pipe is not opened, since that would block until something is written."""
    if not file.is_file() or file.stat().st_size > limit:
        message = f"{file.name} is missing, too large or no regular file"
        raise ValueError(message)
    return file.read_bytes()


def _matrices(content: bytes, graph: Graph) -> dict[str, np.ndarray]:
    """The matrices of a graph by name, which are stored one after another."""
    shapes: dict[str, tuple[int, ...]] = {
        parameter.name: parameter.weight.matrix for parameter in graph.parameters
    }
    shapes |= {name: constant.matrix.shape for name, constant in graph.constants()}
    sizes = [math.prod(shape) for shape in shapes.values()]
    if sum(sizes) * _NUMBERS.itemsize != len(content):
        message = f"{_WEIGHTS} has {len(content):,} bytes for {sum(sizes):,} numbers"
        raise ValueError(message)
    numbers, begins = np.frombuffer(content, _NUMBERS), np.cumsum([0, *sizes])
    return {
        name: numbers[begin : begin + size].reshape(shape)
        for (name, shape), begin, size in zip(shapes.items(), begins, sizes, strict=False)
    }


def _parameters(parfor: Mapping[str, Any]) -> dict[str, object]:
    """The parameters of DML's parfor, each a word or a number."""
    for name, value in parfor.items():
        if not (_WORD.fullmatch(name) and _WORD.fullmatch(str(value))):
            message = f"{name!r:.40} is {value!r:.40}, no parameter of a loop"
            raise ValueError(message)
    return dict(parfor)


class Scorer:
    """Scores with a compiled model on a SparkSession; the weights stay in its JVM."""

    def __init__(
        self,
        spark: SparkSession,
        folder: Path | str | CompiledModel,
        systemds: SystemDS | None = None,
    ) -> None:
        """Raises InvalidSession, or InvalidData if `folder` holds no compiled model."""
        self.model = folder if isinstance(folder, CompiledModel) else CompiledModel.load(folder)
        self._systemds = systemds or SystemDS(spark)
        self._weights: dict[str, Matrix] = {
            name: self._systemds.matrix(matrix) for name, matrix in self.model.weights.items()
        }
        self._release = weakref.finalize(self, _free, self._systemds, [*self._weights.values()])
        self._release.atexit = False  # the JVM ends, too

    def predict_proba(self, features: object) -> Any:
        """The model's output for features (N, *shape), or rows (N, D) in C,H,W order: (N, K)
        float64; for several outputs a list, or a dict if the model was built with one.

        Raises InvalidData for features of another shape, and for NaN.
        """
        return self.model.graph.gives.packed(self.outputs(features))

    def outputs(self, features: object, *, drawn: bool = False) -> list[np.ndarray]:
        """All outputs of the model, in Keras' order; for several inputs `features` is a list, or a
        dict with Keras' names. They may be `drawn` from batches.
        """
        matrices = data.inputs(features, self.model.graph, drawn=drawn)
        computed = self._systemds.compute(self.model.script, {**matrices, **self._weights})
        return [value.as_keras(computed[name]) for name, value in self.model.outputs.items()]

    def frame(self, frame: DataFrame, columns: Columns, classes: np.ndarray | None) -> DataFrame:
        """The rows of a DataFrame with the model's results, which Spark caches as long as the
        returned DataFrame exists.

        Raises InvalidData for features that the model does not take.
        """
        if len(self.model.inputs) > 1 or len(self.model.outputs) > 1:
            message = "The model has several inputs or outputs: give X as a list of arrays."
            raise InvalidData(message)
        ((name, value),), (output,) = self.model.inputs.items(), self.model.outputs
        if (scored := self._by_executors(frame, columns, value, classes)) is not None:
            return scored
        rows, numbered = frames.features(self._systemds, frame, columns.features, value)
        try:
            variables = {name: rows, **self._weights}
            scores = self._systemds.frame(self.model.script, variables, output)
            results = scored_frames.with_predictions(scores, numbered, columns, classes)
            return results.localCheckpoint()
        finally:
            numbered.unpersist()
            self._systemds.free(rows)

    def _by_executors(
        self, frame: DataFrame, columns: Columns, value: Value, classes: np.ndarray | None
    ) -> DataFrame | None:
        """What `frame` returns, computed where the rows are; None if that is not possible."""
        graph = self.model.graph
        if self.model.algorithm.test != "minibatch":
            return None
        script, size = row_batches.render(graph), row_batches.batch_size(graph)
        if not executors.can_score(self._systemds, script):
            return None
        with self._prepared() as weights:
            return scored_frames.scored_by_executors(
                self._systemds, script, weights, frame, columns, value, size, classes
            )

    @contextmanager
    def _prepared(self) -> Iterator[Mapping[str, Matrix]]:
        """The weights and constants as the function `score` takes them, while the body runs."""
        script = row_batches.preparation(self.model.graph)
        constants = {} if script is None else self._systemds.run(script, self._weights)
        try:
            yield {**self._weights, **constants}
        finally:
            self._systemds.free(*constants.values())

    def close(self) -> None:
        """Free the weights in the JVM, as also happens when the scorer is garbage collected."""
        self._release()


def _free(systemds: SystemDS, matrices: Sequence[Matrix]) -> None:
    with suppress(Exception):  # the session may be gone
        systemds.free(*matrices)
