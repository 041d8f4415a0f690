"""SystemDS on a SparkSession: scripts compiled and run by its MLContext."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from keras2dml.dml.syntax import BATCH_FUNCTIONS
from keras2dml.errors import Keras2DMLError
from keras2dml.kernels import installed
from keras2dml.kernels.installed import Installed
from keras2dml.rendering.forward import Script
from keras2dml.systemds import blas, variables
from keras2dml.systemds.jvm import answering
from keras2dml.systemds.matrices import BLOCK, Matrices, Matrix
from keras2dml.systemds.options import Options, check_gpu
from keras2dml.systemds.output import Quiet
from keras2dml.systemds.reusable import make_reusable
from keras2dml.systemds.session import check_session

Shape = tuple[int, int]

# How many compiled scripts are kept, those that were used last.
_KEPT = 16
_PARALLEL = "parfor"


class ExecutionFailed(Keras2DMLError):
    """SystemDS stopped a script; the message quotes it."""


@dataclass(frozen=True)
class _Program:
    """A script compiled by SystemDS for some sizes, whether OpenBLAS suits it, and which of its
    functions kernels run.
    """

    runtime: Any
    suited: bool
    kernels: Installed


class _Shared:
    """State that all sessions of this process share, as a JVM has a single MLContext: a lock, the
    options that were set last, whether OpenBLAS is in use, and the compiled programs.
    """

    lock = threading.Lock()
    settings: tuple[str, Options] | None = None
    native: bool = False
    programs: ClassVar[OrderedDict[object, _Program]] = OrderedDict()


class SystemDS(Matrices):
    """The MLContext of a session; its `lock` is held while it compiles or runs a script."""

    lock = _Shared.lock

    def __init__(self, spark: SparkSession) -> None:
        """Raises InvalidSession if `spark` lacks what SystemDS needs."""
        session: Any = check_session(spark)
        super().__init__(session)
        self._spark = spark
        self._session: Any = session._jsparkSession
        self._jvm: Any = session._jvm
        self._application = str(session.sparkContext.applicationId)
        self._api: Any = self.classes.api
        # On a cluster the driver has a machine for itself.
        context = session.sparkContext
        local = context.master.startswith("local")
        self.threads = context.defaultParallelism if local else os.cpu_count() or 1
        self.options = Options()
        with _Shared.lock, Quiet(self._jvm, "err"):
            self._context()

    def check_gpu(self) -> None:
        """Raise InvalidSession if there is no GPU that SystemDS can use."""
        check_gpu(self._jvm)

    def run(self, script: Script, inputs: Mapping[str, Any]) -> dict[str, Matrix]:
        """Run a script and return its outputs; `inputs` are matrices in the JVM, or numbers.

        Raises ExecutionFailed with SystemDS' message.
        """
        context = self._execute(script, inputs, self._run)
        return {name: self._result(context, name) for name in script.outputs}

    def _run(self, program: Any, bound: Any) -> Any:
        return self.options.execute(program, bound, self._jvm)

    def _result(self, context: Any, name: str) -> Matrix:
        if self.classes.bridge is not None:
            return Matrix(self.classes.bridge.result(context, name))
        data = context.getVariable(name)
        data.enableCleanup(False)
        return Matrix(data)

    def compute(self, script: Script, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Run a script and return its outputs as arrays; they are removed from the JVM. Inputs may
        also be arrays, which are matrices of the JVM while it runs.

        Raises ExecutionFailed as `run` does.
        """
        arrays = {
            name: inputs[name] for name in script.inputs if isinstance(inputs[name], np.ndarray)
        }
        if self._fits(arrays) and self.options.is_plain:
            return self._compute_shared(script, inputs, arrays)
        with self.holding(arrays) as matrices:
            results = self.run(script, {**inputs, **matrices})
        return self._move(results)

    def _move(self, results: Mapping[str, Matrix]) -> dict[str, np.ndarray]:
        """Results as arrays; they are removed from the JVM."""
        arrays = {name: self.numpy(matrix) for name, matrix in results.items()}
        self.free(*results.values())
        return arrays

    def _compute_shared(
        self, script: Script, inputs: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """`compute` in two calls to the JVM, with the arrays and the results in shared memory."""
        outputs = variables.listed(script)

        def execute(program: Any, bound: Any) -> Any:
            with self._shared.locked():
                listed, shared = self._share(arrays), self._shared.theirs
                context = self.classes.bridge.compute(program, bound, shared, listed, outputs)
                return self._read(script.outputs) if context is None else context

        results = self._execute(script, inputs, execute)
        if isinstance(results, dict):
            return results
        return self._move({name: self._result(results, name) for name in script.outputs})

    def frame(self, script: Script, inputs: Mapping[str, Any], output: str) -> DataFrame:
        """Run a script and return an output as a DataFrame: row numbers, and a column C1 of
        vectors.

        Raises ExecutionFailed as `run` does.
        """
        spark = copy(self)
        spark.options = self.options.with_spark
        context = spark._execute(script, inputs, spark._run)
        vectors = self.classes.conversion.matrixObjectToDataFrame(
            context.getVariable(output), context, True
        )
        return DataFrame(vectors, self._spark)

    def plan(self, script: Script, shapes: Mapping[str, Shape | int]) -> str:
        """SystemDS' operators for inputs of these shapes, and where they run; CP is the driver."""
        with _Shared.lock, Quiet(self._jvm, "out"):
            self._apply_options()
            program = self._compile(script, shapes)
            plan = str(self._jvm.org.apache.sysds.utils.Explain.explain(program.runtime))
            single = self.options.is_single(script.single)
            return "\n".join([*program.kernels.lines(self.threads, single=single), plan])

    def of_frame(self, frame: DataFrame, rows: int, columns: int) -> Matrix:
        """A column of vectors as a matrix, which is only moved if a plan needs that. Rows are in
        the order of a first column with row numbers from 1, if there is one.
        """
        kind = self._api.MatrixFormat
        layout = kind.DF_VECTOR_WITH_INDEX if len(frame.columns) > 1 else kind.DF_VECTOR
        sizes = self.classes.metadata(layout, rows, columns, rows * columns, BLOCK)
        with _Shared.lock:
            self._context()
            data = self.classes.conversion.dataFrameToMatrixObject(frame._jdf, sizes)
            data.enableCleanup(False)
            return Matrix(data, (rows, columns))

    def numbered(self, frame: DataFrame, name: str) -> DataFrame:
        """The frame with a column of row numbers from 1."""
        spark = self._jvm.org.apache.sysds.runtime.instructions.spark
        jframe = spark.utils.RDDConverterUtilsExt.addIDToDataFrame(frame._jdf, self._session, name)
        return DataFrame(jframe, frame.sparkSession)

    def _context(self) -> Any:
        """The MLContext of the session. A JVM has a single one: SystemDS takes the sizes of a
        script's inputs from the last one created, whichever runs the script.
        """
        active = self._api.MLContext.getActiveMLContext()
        own = self._session.sparkContext()
        if active is not None and active.getSparkSession().sparkContext() == own:
            return active
        with Quiet(self._jvm, "out"):
            context = self._api.MLContext(self._session)
            # The first script that a context executes makes its folders.
            context.execute(self._api.ScriptFactory.dmlFromString("nothing = 0"))
        return context

    def _apply_options(self) -> None:
        """Set the options of the context, unless they are set already."""
        # Whether kernels run a program, and in which precision, is part of its key.
        settings = self._application, replace(self.options, kernels=True, precision=None)
        if _Shared.settings != settings:
            _Shared.programs.clear()
            self.options.apply(self._context(), self._jvm)
            _Shared.settings, _Shared.native = settings, False

    @answering()
    def _execute(
        self, script: Script, inputs: Mapping[str, Any], execute: Callable[[Any, Any], Any]
    ) -> Any:
        """What `execute` returns for the program of a script and its variables: SystemDS' execution
        context. Arrays among the inputs are not put into the variables.
        """
        values = {name: inputs[name] for name in script.inputs}
        try:
            with _Shared.lock:
                self._apply_options()
                program = self._program(script, values)
                bound = variables.of(self.classes, script, values)
                native = script.single and program.suited and not self.options.gpu
                native = native and blas.detect().folder is not None
                if _Shared.native != native and blas.LIBRARY not in self.options.properties:
                    blas.detect().use(self._jvm, used=native)
                    _Shared.native = native
                return execute(program.runtime, bound)
        except Py4JJavaError as error:
            message = f"SystemDS could not run the script: {root_cause(error)}"
            raise ExecutionFailed(message) from error

    def _program(self, script: Script, values: Mapping[str, Any]) -> _Program:
        """The script compiled for inputs of these sizes, as it was before if it was. One that reads
        files is compiled anew: they may have changed.
        """
        shapes = {
            name: value.shape if isinstance(value, (Matrix, np.ndarray)) else value
            for name, value in values.items()
        }
        # A parallel loop keeps the numbers with which it ran first, in place.
        is_general = _PARALLEL not in script.text
        kinds = (
            type(value) if is_general and not isinstance(value, tuple) else (type(value), value)
            for value in shapes.values()
        )
        single = self.options.is_single(script.single)
        run_by = self.options.uses_kernels, single
        key = script.text, script.inputs, script.outputs, *run_by, *kinds
        programs = _Shared.programs
        if key in programs:
            programs.move_to_end(key)
            return programs[key]
        with Quiet(self._jvm, "out"):
            program = self._compile(script, shapes)
        if script.inputs:
            programs[key] = program
            while len(programs) > _KEPT:
                programs.popitem(last=False)
        return program

    def _compile(self, script: Script, shapes: Mapping[str, Shape | float]) -> _Program:
        """SystemDS' program for inputs of these shapes, and numbers, with kernels in it."""
        executor = self._api.ScriptExecutor()
        context = self._context()
        self.options.compile(executor, self._jvm)
        dml = self._api.ScriptFactory.dmlFromString(script.text)
        for name in script.inputs:
            shape = shapes[name]
            argument = self._unread(*shape) if isinstance(shape, tuple) else shape
            getattr(dml, "in")(name, argument)
        for name in script.outputs:
            dml.out(name)
        context.setExecutionScript(dml)
        _Shared.native = False  # compiling leaves the JVM as it was configured
        executor.compile(dml)
        program = make_reusable(executor.getRuntimeProgram(), self.classes.bridge)
        kernels = Installed()
        if self.options.uses_kernels:
            single = self.options.is_single(script.single)
            kernels = installed.install(
                self._jvm, program, BATCH_FUNCTIONS, self.threads, single=single
            )
        return _Program(program, blas.is_suited(script.text), kernels)

    def _unread(self, rows: int, columns: int) -> Any:
        """A matrix without data, of a known size."""
        classes = self.classes
        meta = classes.format(classes.sizes(rows, columns, BLOCK, -1), classes.binary)
        return self._api.Matrix(classes.matrix(classes.double, "unread", meta), None)


def root_cause(error: Py4JJavaError) -> str:
    """The innermost message of a Java exception."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString())
