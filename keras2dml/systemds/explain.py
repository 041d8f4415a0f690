"""SystemDS' plan of a script, as text that a person reads."""

from __future__ import annotations

import re

# What names, moves and removes variables, and computes nothing.
_BOOKKEEPING = re.compile(r"-*(?:CP|SPARK|GPU) (?:createvar|rmvar|mvvar|cpvar|assignvar)\b")
# The type of an operand, which is part of its name in a plan.
_TYPE = re.compile(r"\.(?:MATRIX|FRAME|LIST|SCALAR)\.\w+(?:\.(?:true|false))?")
_INDENTATION = re.compile(r"^-+")


def readable(plan: str) -> str:
    """A plan without bookkeeping: each operator, where it runs (CP is the driver), its operands and
    its result.
    """
    lines = (line for line in plan.splitlines() if line and not _BOOKKEEPING.match(line))
    indented = (_INDENTATION.sub(lambda dashes: " " * len(dashes[0]), line) for line in lines)
    return "\n".join(_TYPE.sub("", line) for line in indented)
