"""SystemDS' options: plans and statistics that it prints, its properties, where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from py4j.java_gateway import JavaClass
from py4j.protocol import Py4JError

from keras2dml.errors import InvalidData, InvalidSession

LEVELS = ("hops", "runtime", "recompile_hops", "recompile_runtime")
PLACES = ("DRIVER", "SPARK", "DRIVER_AND_SPARK")


@dataclass(frozen=True)
class Options:
    """What the MLContext of a JVM is told before each script of an estimator.

    `place` is where operators run: on the driver, on Spark, or, as SystemDS chooses by their sizes,
    on both.
    """

    explained: bool = False
    level: str = "runtime"
    statistics: bool = False
    heavy_hitters: int = 10
    gpu: bool = False
    force_gpu: bool = False
    place: str = "DRIVER_AND_SPARK"
    properties: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> Options:
        """The same options; InvalidData for a name that SystemDS does not know."""
        if self.level not in LEVELS:
            message = f"The explain level is {self.level!r}: give one of {', '.join(LEVELS)}."
            raise InvalidData(message)
        if self.place not in PLACES:
            message = f"The execution type is {self.place!r}: give one of {', '.join(PLACES)}."
            raise InvalidData(message)
        return self

    def apply(self, context: Any, jvm: Any) -> None:
        """Tell the context."""
        kind = getattr(jvm, "org.apache.sysds.api.mlcontext.MLContext$ExecutionType")
        context.setExplain(self.explained)
        context.setExplainLevel(self.level)
        context.setStatistics(self.statistics)
        context.setStatisticsMaxHeavyHitters(self.heavy_hitters)
        context.setGPU(self.gpu)
        context.setForceGPU(self.force_gpu)
        context.setExecutionType(kind.valueOf(self.place))
        for name, value in self.properties.items():
            context.setConfigProperty(name, value)


def check_gpu(jvm: Any) -> None:
    """InvalidSession if SystemDS finds no GPU: it would stop in the middle of the first script."""
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
        f"A GPU is asked for, and SystemDS cannot use one here: {reason}. It needs an NVIDIA GPU,"
        " its driver, and the jar systemds-extra: install these, or leave the GPU out."
    )
    raise InvalidSession(message)
