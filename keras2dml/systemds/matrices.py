"""Transfers arrays to matrices in a session's JVM, and back."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from keras2dml.systemds import classes
from keras2dml.systemds.jvm import answering

# Rows and columns of a matrix block on Spark: SystemDS' default.
BLOCK = 1000

# Numbers per transfer.
_CARRIED = 1 << 20
_HEADER = 2
"""Numbers before those of a matrix: its rows and columns."""


class Matrix:
    """A matrix in the JVM: the SystemDS object `data`, which knows its size, and which a script can
    use directly. The end of a script does not free it.
    """

    def __init__(self, data: Any, shape: tuple[int, int] | None = None) -> None:
        self.data = data
        if shape is not None:
            self.shape = shape

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.data.getNumRows(), self.data.getNumColumns()

    def same(self, other: Matrix) -> bool:
        """Whether both are one object of the JVM."""
        return bool(self.data.equals(other.data))


class Matrices:
    """Matrices in the JVM of a session.

    Numbers are transferred through memory that both processes map, in less than 1 ms where py4j
    would take 40 ms.
    """

    def __init__(self, session: SparkSession) -> None:
        self._gateway: Any = session.sparkContext._gateway
        self.classes = classes.of(session._jvm)
        self._shared = _share_memory(session._jvm)

    @answering()
    def matrix(self, array: np.ndarray) -> Matrix:
        """A matrix (N, D) of numbers in the JVM, until `free`.

        A plain block would be copied twice for each script, and planned for as of unknown size.
        """
        rows, columns = array.shape
        bridge = self.classes.bridge
        if bridge is not None and array.size <= _CARRIED:
            with self._shared.locked():
                self._shared.ours[: array.size] = np.ascontiguousarray(array).reshape(-1)
                return Matrix(bridge.matrix(self._shared.theirs, rows, columns), (rows, columns))
        values = self._gateway.new_array(self.classes.number, rows * columns)
        flat = np.ascontiguousarray(array).reshape(-1)
        with self._shared.locked():
            for begin in range(0, flat.size, _CARRIED):
                part = flat[begin : begin + _CARRIED]
                self._shared.ours[: part.size] = part
                self._shared.theirs.clear().get(values, begin, part.size)
        if bridge is not None:
            return Matrix(bridge.matrix(values, rows, columns), (rows, columns))
        block = self.classes.block(rows, columns, values)
        block.recomputeNonZeros()
        block.examSparsity()
        sizes = self.classes.metadata(rows, columns, block.getNonZeros(), BLOCK)
        matrix_object = self.classes.conversion.matrixBlockToMatrixObject("matrix", block, sizes)
        matrix_object.enableCleanup(False)
        return Matrix(matrix_object, (rows, columns))

    @answering()
    def numpy(self, matrix: Matrix) -> np.ndarray:
        """A matrix of the JVM as a float64 array (N, D)."""
        if self.classes.bridge is not None:
            with self._shared.locked():
                self.classes.bridge.numbers(matrix.data, self._shared.theirs)
                rows, columns = map(int, self._shared.ours[:_HEADER])
                matrix.shape = rows, columns
                if _HEADER + rows * columns <= _CARRIED:
                    return self._read(["matrix"])["matrix"]
        block = matrix.data.acquireReadAndRelease()
        rows, columns = matrix.shape
        array = np.zeros(rows * columns)
        if block.isInSparseFormat():
            block.sparseToDense()
        values = None if block.isEmptyBlock(False) else block.getDenseBlockValues()
        if values is not None:
            with self._shared.locked():
                for begin in range(0, array.size, _CARRIED):
                    part = array[begin : begin + _CARRIED]
                    self._shared.theirs.clear().put(values, begin, part.size)
                    part[:] = self._shared.ours[: part.size]
        return array.reshape(rows, columns)

    def _fits(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether these arrays can be in the shared memory together, for a script."""
        return self.classes.bridge is not None and _size(arrays) <= _CARRIED

    def _share(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Write arrays to the shared memory, one after another; returns their description."""
        end = 0
        for array in arrays.values():
            begin, end = end, end + array.size
            self._shared.ours[begin:end].reshape(array.shape)[...] = array
        words = [f"{name} {array.shape[0]} {array.shape[1]}" for name, array in arrays.items()]
        return " ".join(words)

    def _read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The matrices in the shared memory, one after another: copies."""
        arrays, end = {}, 0
        for name in names:
            begin = end + _HEADER
            rows, columns = map(int, self._shared.ours[end:begin])
            end = begin + rows * columns
            arrays[name] = self._shared.ours[begin:end].reshape(rows, columns).copy()
        return arrays

    @contextmanager
    def holding(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Matrix]]:
        """The arrays as matrices in the JVM while the body runs."""
        matrices = {name: self.place(array) for name, array in arrays.items()}
        try:
            yield matrices
        finally:
            names = (name for name, array in arrays.items() if isinstance(array, np.ndarray))
            self.free(*(matrices[name] for name in names))

    def place(self, array: Any) -> Matrix:
        """The matrix for an array, or of rows that are in the JVM already."""
        return self.matrix(array) if isinstance(array, np.ndarray) else array.matrix

    def free(self, *matrices: Matrix) -> None:
        """Free matrices, which SystemDS otherwise keeps, on disk if they are large."""
        for matrix in matrices:
            # A script that failed still holds its inputs; and the JVM may have ended.
            with suppress(Py4JError, ConnectionError):
                if self.classes.bridge is not None:
                    self.classes.bridge.free(matrix.data)
                else:
                    matrix.data.enableCleanup(True)
                    matrix.data.clearData()


def _size(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.size for array in arrays.values())


class _SharedMemory:
    """Memory that this process and the JVM map: as an array here, as a DoubleBuffer there."""

    ours: np.ndarray
    theirs: Any

    def __init__(self, jvm: Any) -> None:
        self._jvm, self._lock = jvm, threading.Lock()
        self._map()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For this thread alone while the body runs. If it is interrupted, the JVM may still use
        the memory, so that there is another from then on.
        """
        with self._lock:
            try:
                yield
            except Py4JJavaError:
                raise
            except BaseException:
                with suppress(Py4JError, ConnectionError):  # the JVM may have ended
                    self._map()
                raise

    def _map(self) -> None:
        """Map new memory; its file is deleted."""
        java = self._jvm.java
        with tempfile.TemporaryDirectory(prefix="keras2dml-") as folder:
            path = Path(folder, "shared")
            ours = np.memmap(path, np.float64, "w+", shape=_CARRIED)
            file = java.io.RandomAccessFile(str(path), "rw")
            mode = java.nio.channels.FileChannel.MapMode.READ_WRITE
            mapped = file.getChannel().map(mode, 0, ours.nbytes)
            file.close()
        self.ours = ours
        self.theirs = mapped.order(java.nio.ByteOrder.nativeOrder()).asDoubleBuffer()


@lru_cache(maxsize=1)
def _share_memory(jvm: Any) -> _SharedMemory:
    """Memory shared with a JVM; a process has a single one."""
    return _SharedMemory(jvm)
