"""The classes and constants of SystemDS and Java that a session uses, looked up once: a lookup by
name takes several calls to the JVM.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from keras2dml.kernels import installed


class Classes(NamedTuple):
    """Classes of a JVM, and two constants of theirs."""

    api: Any
    """The package of MLContext."""
    variables: Any
    scalars: Mapping[type, Any]
    matrix: Any
    block: Any
    sizes: Any
    format: Any
    metadata: Any
    conversion: Any
    contexts: Any
    names: Any
    """A set, of Java's."""
    number: Any
    """The type of an element of a Java array of doubles."""
    double: Any
    binary: Any
    bridge: Any
    """What is often done, in a call each; None in a session without the jar of kernels."""
    frames: Any
    """What scores DataFrames on executors; None in such a session."""


@lru_cache(maxsize=1)
def of(jvm: Any) -> Classes:
    """Those of a JVM; a process has a single one."""
    sysds = jvm.org.apache.sysds
    runtime, api = sysds.runtime, sysds.api.mlcontext
    cp, program = runtime.instructions.cp, runtime.controlprogram
    types = "org.apache.sysds.common.Types"
    return Classes(
        api=api,
        variables=program.LocalVariableMap,
        scalars={bool: cp.BooleanObject, int: cp.IntObject, float: cp.DoubleObject},
        matrix=program.caching.MatrixObject,
        block=runtime.matrix.data.MatrixBlock,
        sizes=runtime.meta.MatrixCharacteristics,
        format=runtime.meta.MetaDataFormat,
        metadata=api.MatrixMetadata,
        conversion=api.MLContextConversionUtil,
        contexts=program.context.ExecutionContextFactory,
        names=jvm.java.util.HashSet,
        number=jvm.double,
        double=getattr(jvm, f"{types}$ValueType").FP64,
        binary=getattr(jvm, f"{types}$FileFormat").BINARY,
        bridge=installed.of(jvm, "Bridge"),
        frames=installed.of(jvm, "FrameScorer"),
    )
