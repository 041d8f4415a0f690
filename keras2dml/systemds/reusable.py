"""Programs that run more than once."""

from __future__ import annotations

from typing import Any


def make_reusable(program: Any, bridge: Any) -> Any:
    """Make a program safe to run again. SystemDS recompiles loops and functions in place when they
    begin, and a sum of two matrices that were empty once would stay empty. Blocks with unknown
    sizes are compiled separately, on a copy.
    """
    if bridge is not None:
        return bridge.reusable(program)
    functions = program.getFunctionProgramBlocks()
    names = functions.keySet().toArray()
    for at in range(len(names)):
        function = functions.get(names[at])
        function.setRecompileOnce(False)
        _keep_general(function.getChildBlocks())
    _keep_general(program.getProgramBlocks())
    return program


def _keep_general(blocks: Any) -> None:
    # The end of a Java iterator is an exception, which costs dozens of calls to the JVM.
    for at in range(0 if blocks is None else blocks.size()):
        block = blocks.get(at)
        statement = block.getStatementBlock()
        if statement is not None:
            statement.setRecompileOnce(False)
        _keep_general(block.getChildBlocks())
