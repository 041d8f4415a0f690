"""SystemDS' options: the plans and statistics that it prints, its properties, where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from py4j.java_gateway import JavaClass
from py4j.protocol import Py4JError

from keras2dml.errors import InvalidData, InvalidSession
from keras2dml.systemds import blas, classes
from keras2dml.systemds.output import Quiet

LEVELS = ("hops", "runtime", "recompile_hops", "recompile_runtime")
DRIVER, SPARK, ANYWHERE = PLACES = ("DRIVER", "SPARK", "DRIVER_AND_SPARK")
PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Options:
    """Options of the JVM's MLContext, which are set before each script of an estimator.

    `place` is where operators run: on the driver, on Spark, or on both, as SystemDS chooses by
    their sizes. `kernels` run what they can, in `precision`, by default that of the model.
    """

    explained: bool = False
    level: str = "runtime"
    statistics: bool = False
    heavy_hitters: int = 10
    gpu: bool = False
    force_gpu: bool = False
    place: str = ANYWHERE
    kernels: bool = True
    precision: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def uses_kernels(self) -> bool:
        """Whether kernels run what they can: not what SystemDS is to run elsewhere."""
        return self.kernels and not self.gpu and self.place != SPARK

    @property
    def is_plain(self) -> bool:
        """Whether a program runs without statistics, and on CPUs."""
        return not (self.statistics or self.gpu)

    @property
    def with_spark(self) -> Options:
        """The same options, but for operators on the driver alone, where no DataFrame is made."""
        return replace(self, place=ANYWHERE) if self.place == DRIVER else self

    def is_single(self, model: bool) -> bool:
        """Whether kernels compute in float32, for a `model` that does in Keras, or does not."""
        return model if self.precision is None else self.precision == "float32"

    def checked(self) -> Options:
        """The same options; raises InvalidData for a name that SystemDS does not know."""
        if self.level not in LEVELS:
            message = f"The explain level is {self.level!r}: give one of {', '.join(LEVELS)}."
            raise InvalidData(message)
        if self.place not in PLACES:
            message = f"The execution type is {self.place!r}: give one of {', '.join(PLACES)}."
            raise InvalidData(message)
        if self.precision not in (None, *PRECISIONS):
            message = f"The precision is {self.precision!r}: give one of {', '.join(PRECISIONS)}."
            raise InvalidData(message)
        return self

    def check_trainable(self) -> None:
        """Raise InvalidSession for options with which training would differ from Keras'."""
        if self.gpu:
            message = (
                "fit was requested on a GPU, where SystemDS 3.4 trains other weights than Keras "
                "(docs/decisions/gpu-scores-only.md). Call setGPU(False) before fit; scoring may "
                "use a GPU."
            )
            raise InvalidSession(message)

    def apply(self, context: Any, jvm: Any) -> None:
        """Set the properties of a context; all others keep SystemDS' defaults."""
        context.resetConfig()
        if library := self.properties.get(blas.LIBRARY):
            folder = self.properties.get(blas.FOLDER, "none")
            jvm.org.apache.sysds.utils.NativeHelper.initialize(folder, library)
        # Matrices are written as single files: parallel writers create a folder, which cannot be
        # read from a file: address.
        for name, value in {"sysds.cp.parallel.io": "false", **self.properties}.items():
            context.setConfigProperty(name, value)

    def compile(self, executor: Any, jvm: Any) -> None:
        """Set the options of the compiler, which apply to the JVM as a whole."""
        api = "org.apache.sysds.api.mlcontext.MLContext"
        executor.setExecutionType(getattr(jvm, f"{api}$ExecutionType").valueOf(self.place))
        executor.setExplain(self.explained)
        executor.setExplainLevel(getattr(jvm, f"{api}$ExplainLevel").valueOf(self.level.upper()))
        executor.setStatistics(self.statistics)
        executor.setStatisticsMaxHeavyHitters(self.heavy_hitters)
        executor.setGPU(self.gpu)
        executor.setForceGPU(self.force_gpu)

    def execute(self, program: Any, variables: Any, jvm: Any) -> Any:
        """Run a program with these variables, and return its execution context."""
        context = classes.of(jvm).contexts.createContext(variables, program)
        if self.is_plain:
            program.execute(context)
            return context
        sysds = jvm.org.apache.sysds
        sysds.utils.Statistics.reset()
        sysds.utils.Statistics.resetNoOfExecutedJobs()
        config = sysds.conf.ConfigurationManager.getDMLConfig()
        outputs = variables.getRegisteredOutputs()
        with Quiet(jvm, "out", everything=self.statistics):
            sysds.api.ScriptExecutorUtils.executeRuntimeProgram(
                program, context, config, self.heavy_hitters, outputs
            )
        return context


def check_gpu(jvm: Any) -> None:
    """Raise InvalidSession if SystemDS finds no GPU, with which it would stop during a script."""
    reason = "the classes of CUDA (jcuda) are not on the class path"
    if isinstance(jvm.jcuda.runtime.JCuda, JavaClass):
        pool = jvm.org.apache.sysds.runtime.instructions.gpu.context.GPUContextPool
        try:
            pool.initializeGPU()
            if pool.getDeviceCount() > 0:
                return
            reason = "there is no device"
        except Py4JError as error:
            reason = str(error).splitlines()[0]
    message = (
        f"A GPU was requested, but SystemDS cannot use one here: {reason}. It needs an NVIDIA GPU,"
        " its driver, and the jar systemds-extra: install these, or do without the GPU."
    )
    raise InvalidSession(message)
