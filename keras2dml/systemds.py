"""SystemDS on a SparkSession: scripts run by its MLContext, matrices carried between numpy and the
JVM.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from keras2dml.errors import Keras2DMLError
from keras2dml.rendering import Script
from keras2dml.session import suited

# One mapped piece of a file; Java maps at most 2 GiB at a time.
_MAPPED_BYTES = 1 << 30


# A JVM has one MLContext, and that one script.
_ONE_AT_A_TIME = threading.Lock()


class ExecutionFailed(Keras2DMLError):
    """SystemDS stopped a script; the message has its own words."""


class SystemDS:
    """The MLContext of a session. Matrices in the JVM are opaque to Python: `matrix` and `numpy`
    carry them over.
    """

    def __init__(self, spark: SparkSession) -> None:
        """Raises InvalidSession if `spark` lacks what SystemDS needs."""
        session: Any = suited(spark)
        self._session: Any = session._jsparkSession
        self._jvm: Any = session._jvm
        self._gateway: Any = session.sparkContext._gateway
        self._api: Any = self._jvm.org.apache.sysds.api.mlcontext
        with _Quiet(self._jvm, "err"):
            self.run(Script("nothing = 0", (), ()), {})

    def _context(self) -> Any:
        """The MLContext of the session's Spark. There is one in a JVM: SystemDS takes the sizes of
        a script's inputs from the one that was made last, whichever runs the script.
        """
        active = self._api.MLContext.getActiveMLContext()
        own = self._session.sparkContext()
        if active is not None and active.getSparkSession().sparkContext() == own:
            return active
        with _Quiet(self._jvm, "out"):
            context = self._api.MLContext(self._session)
        # A matrix becomes one file: parallel writers make a folder, which cannot be read back from
        # a file: address.
        context.setConfigProperty("sysds.cp.parallel.io", "false")
        return context

    def run(self, script: Script, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The script's outputs, as matrices in the JVM; `inputs` are such matrices, or numbers.

        Raises ExecutionFailed with SystemDS' own message.
        """
        dml = self._api.ScriptFactory.dmlFromString(script.text)
        for name in script.inputs:
            value = inputs[name]
            number = isinstance(value, (int, float))
            getattr(dml, "in")(name, value if number else self._api.Matrix(value, None))
        for name in script.outputs:
            dml.out(name)
        try:
            with _ONE_AT_A_TIME, _Quiet(self._jvm, "out"):
                results = self._context().execute(dml)
            return {name: self._kept(results.getMatrixObject(name)) for name in script.outputs}
        except Py4JJavaError as error:
            message = f"SystemDS could not run the script: {_root_cause(error)}"
            raise ExecutionFailed(message) from error

    def computed(self, script: Script, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The script's outputs as arrays; nothing of them stays in the JVM."""
        results = self.run(script, inputs)
        arrays = {name: self.numpy(matrix) for name, matrix in results.items()}
        self.free(*results.values())
        return arrays

    @contextmanager
    def holding(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """The arrays as matrices in the JVM, as long as the body runs."""
        matrices = {name: self.matrix(array) for name, array in arrays.items()}
        try:
            yield matrices
        finally:
            self.free(*matrices.values())

    def free(self, *matrices: Any) -> None:
        """Give matrices up. Until then SystemDS keeps them, on disk if they are large."""
        for data in matrices:
            data.enableCleanup(True)
            data.clearData()

    def matrix(self, array: np.ndarray) -> Any:
        """A matrix (N, D) of numbers in the JVM, by way of a mapped file; `free` gives it up.

        It is one of SystemDS' own objects, which knows its size and which a script takes as it is:
        a plain block would be copied, twice for each script, and planned for as of unknown size.
        """
        rows, columns = array.shape
        values = self._gateway.new_array(self._jvm.double, rows * columns)
        with tempfile.TemporaryDirectory(prefix="keras2dml-") as folder:
            path = Path(folder, "matrix")
            np.ascontiguousarray(array, dtype=np.float64).tofile(path)
            offset = 0
            for buffer in self._mapped(path, "READ_ONLY"):
                count = buffer.remaining()
                buffer.get(values, offset, count)
                offset += count
        block = self._jvm.org.apache.sysds.runtime.matrix.data.MatrixBlock(rows, columns, values)
        block.recomputeNonZeros()
        block.examSparsity()
        sizes = self._api.MatrixMetadata(rows, columns, block.getNonZeros())
        convert = self._api.MLContextConversionUtil.matrixBlockToMatrixObject
        return self._kept(convert("matrix", block, sizes))

    @staticmethod
    def _kept(data: Any) -> Any:
        """The same matrix, which the end of a script does not give up."""
        data.enableCleanup(False)
        return data

    def numpy(self, matrix: Any) -> np.ndarray:
        """A matrix of the JVM as a float64 array (N, D), by way of a mapped file."""
        block = matrix.acquireReadAndRelease()
        rows, columns = block.getNumRows(), block.getNumColumns()
        if block.isInSparseFormat() or block.isEmptyBlock(False):
            block.sparseToDense()
        if block.isEmptyBlock(False):
            return np.zeros((rows, columns))
        with tempfile.TemporaryDirectory(prefix="keras2dml-") as folder:
            path = Path(folder, "matrix")
            with path.open("wb") as file:
                file.truncate(rows * columns * 8)
            offset = 0
            for buffer in self._mapped(path, "READ_WRITE"):
                count = buffer.remaining()
                buffer.put(block.getDenseBlockValues(), offset, count)
                offset += count
            return np.fromfile(path).reshape(rows, columns)

    def _mapped(self, path: Path, mode: str) -> Any:
        """The file as buffers of doubles, one after another."""
        java = self._jvm.java
        file = java.io.RandomAccessFile(str(path), "r" if mode == "READ_ONLY" else "rw")
        try:
            channel, size = file.getChannel(), path.stat().st_size
            access = getattr(self._jvm.java.nio.channels.FileChannel.MapMode, mode)
            for begin in range(0, size, _MAPPED_BYTES):
                mapped = channel.map(access, begin, min(_MAPPED_BYTES, size - begin))
                yield mapped.order(java.nio.ByteOrder.nativeOrder()).asDoubleBuffer()
        finally:
            file.close()


class _Quiet:
    """Holds back what the JVM prints to one of its streams; without what SystemDS always says, it
    is printed after.

    MLContext prints a banner, ANTLR a note on its version, and every script its execution time, all
    without a way to turn it off. What went wrong comes as an exception.
    """

    NOISE = re.compile(
        r"^(Welcome to Apache SystemDS!|ANTLR (Tool|Runtime) version .*"
        r"|SystemDS Statistics:|Total execution time:.*"
        r"|Number of executed Spark inst:.*)?$"
    )

    def __init__(self, jvm: Any, name: str) -> None:
        self._system = jvm.java.lang.System
        self._held = jvm.java.io.ByteArrayOutputStream()
        self._stream = jvm.java.io.PrintStream(self._held, True)
        self._name = name

    def __enter__(self) -> None:
        self._original = getattr(self._system, self._name)
        self._set(self._stream)

    def __exit__(self, *_: object) -> None:
        self._set(self._original)
        for line in self._held.toString().splitlines():
            if not self.NOISE.match(line):
                self._original.println(line)

    def _set(self, stream: Any) -> None:
        (self._system.setOut if self._name == "out" else self._system.setErr)(stream)


def _root_cause(error: Py4JJavaError) -> str:
    """The innermost message of a Java exception."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString())
