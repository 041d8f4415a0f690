"""SystemDS on a SparkSession: scripts run by its MLContext, matrices carried between numpy and the
JVM.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from keras2dml.errors import Keras2DMLError
from keras2dml.options import Options, check_gpu
from keras2dml.rendering import Script
from keras2dml.session import suited

# One mapped piece of a file; Java maps at most 2 GiB at a time.
_MAPPED_BYTES = 1 << 30

# The rows and columns of a block of a matrix on Spark, SystemDS' own default.
BLOCK = 1000


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
        self._spark = spark
        self._session: Any = session._jsparkSession
        self._jvm: Any = session._jvm
        self._gateway: Any = session.sparkContext._gateway
        self._api: Any = self._jvm.org.apache.sysds.api.mlcontext
        self.options = Options()
        with _Quiet(self._jvm, "err"):
            self.run(Script("nothing = 0", (), ()), {})

    def check_gpu(self) -> None:
        """InvalidSession if there is no GPU that SystemDS can use."""
        check_gpu(self._jvm)

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
        results = self._executed(script, inputs)
        return {name: self._kept(results.getMatrixObject(name)) for name in script.outputs}

    def _executed(self, script: Script, inputs: Mapping[str, Any]) -> Any:
        """SystemDS' results of a script."""
        dml = self._script(script, inputs)
        try:
            with _ONE_AT_A_TIME, _Quiet(self._jvm, "out", everything=self.options.statistics):
                context = self._context()
                self.options.apply(context, self._jvm)
                return context.execute(dml)
        except Py4JJavaError as error:
            message = f"SystemDS could not run the script: {_root_cause(error)}"
            raise ExecutionFailed(message) from error

    def plan(self, script: Script, shapes: Mapping[str, tuple[int, int] | int]) -> str:
        """The operators that SystemDS would run for inputs of these shapes, dense ones, and where:
        CP is the driver.
        """
        jvm = self._jvm.org.apache.sysds
        sizes = {
            name: shape if isinstance(shape, int) else self._unread(*shape)
            for name, shape in shapes.items()
        }
        executor = self._api.ScriptExecutor()
        with _ONE_AT_A_TIME, _Quiet(self._jvm, "out"):
            context = self._context()
            self.options.apply(context, self._jvm)
            executor.setExecutionType(context.getExecutionType())
            made = self._script(script, sizes)
            context.setExecutionScript(made)
            executor.compile(made)
            return str(jvm.utils.Explain.explain(executor.getRuntimeProgram()))

    def _unread(self, rows: int, columns: int) -> Any:
        """A matrix of which only the size is known."""
        sysds = self._jvm.org.apache.sysds
        values = getattr(self._jvm, "org.apache.sysds.common.Types$ValueType")
        formats = getattr(self._jvm, "org.apache.sysds.common.Types$FileFormat")
        sizes = sysds.runtime.meta.MatrixCharacteristics(rows, columns, BLOCK, rows * columns)
        meta = sysds.runtime.meta.MetaDataFormat(sizes, formats.BINARY)
        kind = sysds.runtime.controlprogram.caching.MatrixObject
        return kind(values.FP64, "unread", meta)

    def _script(self, script: Script, inputs: Mapping[str, Any]) -> Any:
        """SystemDS' script object with its inputs and outputs."""
        dml = self._api.ScriptFactory.dmlFromString(script.text)
        for name in script.inputs:
            value = inputs[name]
            number = isinstance(value, (int, float))
            getattr(dml, "in")(name, value if number else self._api.Matrix(value, None))
        for name in script.outputs:
            dml.out(name)
        return dml

    def computed(self, script: Script, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The script's outputs as arrays; nothing of them stays in the JVM."""
        results = self.run(script, inputs)
        arrays = {name: self.numpy(matrix) for name, matrix in results.items()}
        self.free(*results.values())
        return arrays

    @contextmanager
    def holding(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The arrays as matrices in the JVM, as long as the body runs."""
        matrices = {name: self.placed(array) for name, array in arrays.items()}
        try:
            yield matrices
        finally:
            made = (name for name, array in arrays.items() if isinstance(array, np.ndarray))
            self.free(*(matrices[name] for name in made))

    def placed(self, array: Any) -> Any:
        """The matrix of an array, or of rows that are in the JVM already."""
        return self.matrix(array) if isinstance(array, np.ndarray) else array.data

    def free(self, *matrices: Any) -> None:
        """Give matrices up. Until then SystemDS keeps them, on disk if they are large."""
        for data in matrices:
            data.enableCleanup(True)
            with suppress(Py4JJavaError):  # a script that failed holds what it was reading
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
        sizes = self._api.MatrixMetadata(rows, columns, block.getNonZeros(), BLOCK)
        convert = self._api.MLContextConversionUtil.matrixBlockToMatrixObject
        return self._kept(convert("matrix", block, sizes))

    def of_frame(self, frame: DataFrame, rows: int, columns: int) -> Any:
        """A column of vectors as a matrix, which stays where it is until a plan wants it: its rows
        in the order of a first column with their numbers from 1, if there is one.
        """
        kind = self._api.MatrixFormat
        layout = kind.DF_VECTOR_WITH_INDEX if len(frame.columns) > 1 else kind.DF_VECTOR
        sizes = self._api.MatrixMetadata(layout, rows, columns, rows * columns, BLOCK)
        with _ONE_AT_A_TIME:
            self._context()
            convert = self._api.MLContextConversionUtil.dataFrameToMatrixObject
            return self._kept(convert(frame._jdf, sizes))

    def numbered(self, frame: DataFrame, name: str) -> DataFrame:
        """The frame with a column of the numbers of its rows, from 1."""
        spark = self._jvm.org.apache.sysds.runtime.instructions.spark
        made = spark.utils.RDDConverterUtilsExt.addIDToDataFrame(frame._jdf, self._session, name)
        return DataFrame(made, frame.sparkSession)

    def frame(self, script: Script, inputs: Mapping[str, Any], output: str) -> DataFrame:
        """An output of a script as a DataFrame: the numbers of rows, and a column C1 of vectors.

        Raises ExecutionFailed as `run` does.
        """
        found = self._executed(script, inputs).getDataFrameVectorWithIDColumn(output)
        return DataFrame(found, self._spark)

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
    """Holds back what the JVM prints to one of its streams; without what SystemDS always says,
    Python prints it after, where a notebook shows it.

    MLContext prints a banner, ANTLR a note on its version, and every script its execution time, all
    without a way to turn it off. What went wrong comes as an exception.
    """

    NOISE = re.compile(
        r"^(Welcome to Apache SystemDS!|ANTLR (Tool|Runtime) version .*"
        r"|SystemDS Statistics:|Total execution time:.*"
        r"|Number of executed Spark inst:.*)?$"
    )

    def __init__(self, jvm: Any, name: str, *, everything: bool = False) -> None:
        self._everything = everything
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
            if self._everything or not self.NOISE.match(line):
                getattr(sys, f"std{self._name}").write(f"{line}\n")

    def _set(self, stream: Any) -> None:
        (self._system.setOut if self._name == "out" else self._system.setErr)(stream)


def _root_cause(error: Py4JJavaError) -> str:
    """The innermost message of a Java exception."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString())
